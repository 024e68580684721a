/** The link of this page: which of the server's videos to search for, and where. Own files have no link. */

/** The search that a link names. */
export interface Asked {
  video: string;
  place: "server" | "local";
}

/** Returns the search that this page's link names, or null. */
export function asked(): Asked | null {
  const parts = new URLSearchParams(location.hash.slice(1));
  const video = parts.get("video");
  return video ? { video, place: parts.get("in") === "local" ? "local" : "server" } : null;
}

/** Makes the link name a search; null removes it. */
export function remember(what: Asked | null): void {
  const hash = what ? `#${new URLSearchParams({ video: what.video, in: what.place })}` : "";
  if (location.hash !== hash) history.replaceState(null, "", location.pathname + location.search + hash);
}
