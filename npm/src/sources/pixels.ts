import { VidsieveError } from "../data/errors.js";
import type { Pixels } from "../data/types.js";

/** A frame for the engine: its pixels, or a frame of the browser's decoder. */
export type Frame = Pixels | VideoFrame;

/** Maximum number of pixels of a frame. */
const MOST = 1 << 26;

type Canvas = OffscreenCanvas | HTMLCanvasElement;

/** Returns a canvas for reading pixels. */
export function canvasOf(width: number, height: number): { canvas: Canvas; context: CanvasRenderingContext2D } {
  const canvas: Canvas | null =
    typeof OffscreenCanvas !== "undefined"
      ? new OffscreenCanvas(width, height)
      : typeof document !== "undefined"
        ? Object.assign(document.createElement("canvas"), { width, height })
        : null;
  const context = canvas?.getContext("2d", { willReadFrequently: true, alpha: false }) as
    | CanvasRenderingContext2D
    | null
    | undefined;
  if (!canvas || !context) throw new VidsieveError("unsupported", "this host has no canvas to read frames from");
  return { canvas, context };
}

/** Draws a frame at full size and reads it back: upright, with square pixels, over black. */
function drawn(frame: VideoFrame): Pixels {
  const { displayWidth: width, displayHeight: height } = frame;
  const { context } = canvasOf(width, height);
  try {
    context.drawImage(frame, 0, 0, width, height);
  } catch (cause) {
    // Firefox draws no frame of an ImageDecoder.
    throw new VidsieveError("unsupported", "this browser cannot draw the frames of this file", { cause });
  }
  return context.getImageData(0, 0, width, height);
}

/** Returns a frame's RGBA pixels at its display size, transparent ones over black. */
export async function pixelsOf(frame: Frame): Promise<Pixels> {
  if ("data" in frame) return frame;
  const { visibleRect, displayWidth: width, displayHeight: height, format } = frame;
  if (width * height > MOST) throw new VidsieveError("bad-frame", `a frame of ${width}x${height} pixels is too large`);
  const turned = "rotation" in frame && (frame.rotation !== 0 || ("flip" in frame && frame.flip === true));
  const opaque = format !== null && !format.includes("A");
  const square = visibleRect?.width === width && visibleRect.height === height;
  if (!opaque || turned || !square) return drawn(frame);
  const options = { format: "RGBA", colorSpace: "srgb" } as const;
  try {
    const data = new Uint8ClampedArray(frame.allocationSize(options));
    const [plane] = await frame.copyTo(data, options);
    if (plane && plane.stride === 4 * width && plane.offset === 0 && data.length === 4 * width * height)
      return { width, height, data };
  } catch (thrown) {
    // Browsers that cannot convert to RGBA draw the frame.
    if (!(thrown instanceof DOMException || thrown instanceof TypeError)) throw thrown;
  }
  return drawn(frame);
}
