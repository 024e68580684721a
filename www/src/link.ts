/** The link of this page: which of the server's videos was asked for, and where. Own files have none. */

/** What a link asks for. */
export interface Asked {
  video: string;
  place: "server" | "local";
}

/** What this page's link asks for, if anything. */
export function asked(): Asked | null {
  const parts = new URLSearchParams(location.hash.slice(1));
  const video = parts.get("video");
  return video ? { video, place: parts.get("in") === "local" ? "local" : "server" } : null;
}

/** Makes the link ask for this; null for nothing. */
export function remember(what: Asked | null): void {
  const hash = what ? `#${new URLSearchParams({ video: what.video, in: what.place })}` : "";
  if (location.hash !== hash) history.replaceState(null, "", location.pathname + location.search + hash);
}
