/** Common names of codecs. */

const NAMES: [RegExp, string][] = [
  [/^(avc|avc1|avc3|h264)\b/, "H.264"],
  [/^(hevc|hvc1|hev1|h265)\b/, "HEVC (H.265)"],
  [/^(vvc1|vvi1|vvc)\b/, "VVC (H.266)"],
  [/^vp0?9\b/, "VP9"],
  [/^vp0?8\b/, "VP8"],
  [/^av0?1\b/, "AV1"],
  [/^(prores|ap4h|ap4x|apcn|apch|apcs|apco)\b/, "ProRes"],
  [/^(mpeg4|mp4v)\b/, "MPEG-4 Part 2"],
  [/^(mpeg2|mp2v|m2v1)\b/, "MPEG-2"],
  [/^(mjpg|mjpeg|jpeg|V_MJPEG)\b/, "Motion JPEG"],
  [/^(dvh1|dvhe)\b/, "Dolby Vision"],
];

/**
 * Returns the common name and the identifier of a codec, such as "HEVC (H.265), hvc1.1.6.L93.B0", or
 * the identifier alone if the codec is unknown.
 */
export function codecName(identifier: string | null | undefined): string {
  if (!identifier) return "an unknown codec";
  const name = NAMES.find(([pattern]) => pattern.test(identifier))?.[1];
  return name ? `${name}, ${identifier}` : identifier;
}
