/** The files of the server's videos. */

/** The address of a video's file, if the server has it. */
export const mediaOf = (id: string): string => `/media/${id.split("/").map(encodeURIComponent).join("/")}`;

/** Why a file is not shown, in words. */
export async function whyNot(url: string, codec: string | null): Promise<string> {
  const response = await fetch(url, { method: "HEAD" }).catch(() => null);
  if (!response?.ok) return "The server has no file for it: start it with --media and the folder that was indexed";
  return `This browser cannot play it${codec ? ` (${codec})` : ""}: open it in a player`;
}
