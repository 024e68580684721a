// Keeps the application's own files, so that it opens without a network. Searches, videos and the model are not kept here.
const FILES = "vidsieve-files";
const ASSETS = "/assets/";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const { origin, pathname } = new URL(url);
  const own = origin === location.origin && !/^\/(v1|media|metrics)(\/|$)/.test(pathname) && !pathname.endsWith(".safetensors");
  if (method !== "GET" || !own) return;
  event.respondWith(answer(event.request, pathname.includes(ASSETS)));
});

/** Assets have their hash in their name and never change; the others are asked for again where there is a network. */
async function answer(request, lasting) {
  const files = await caches.open(FILES);
  const kept = await files.match(request);
  if (kept && lasting) return kept;
  try {
    const response = await fetch(request);
    if (!response.ok) return response;
    // Another version of the page: the assets of the former one are not asked for any more.
    if (request.mode === "navigate" && kept && (await kept.clone().text()) !== (await response.clone().text())) await forget(files);
    await files.put(request, response.clone());
    return response;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

async function forget(files) {
  const requests = await files.keys();
  await Promise.all(requests.filter(({ url }) => url.includes(ASSETS)).map((request) => files.delete(request)));
}
