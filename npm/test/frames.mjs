// Drawn frames: the same bytes every time.

/** RGBA frames of moving stripes, discs and noise. */
export function drawn(count, width, height, seed = 1) {
  let state = seed >>> 0;
  const random = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) / (1 << 24);
  const discs = Array.from({ length: 12 }, () => ({
    x: random() * width,
    y: random() * height,
    dx: (random() - 0.5) * 40,
    dy: (random() - 0.5) * 30,
    r: 8 + random() * 40,
    colour: [random() * 255, random() * 255, random() * 255],
  }));
  const angle = random() * 3;
  return Array.from({ length: count }, (_, t) => {
    const data = new Uint8ClampedArray(4 * width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = 4 * (y * width + x);
        const wave = Math.sin((x * Math.cos(angle) + y * Math.sin(angle) + 9 * t) / (7 + seed));
        let colour = [128 + 100 * wave, 90 + (140 * x) / width, 60 + (150 * y) / height];
        for (const disc of discs) {
          const [cx, cy] = [disc.x + disc.dx * t, disc.y + disc.dy * t];
          if ((x - cx) ** 2 + (y - cy) ** 2 < disc.r ** 2) colour = disc.colour;
        }
        const noise = (random() - 0.5) * 24;
        data.set([colour[0] + noise, colour[1] + noise, colour[2] + noise, 255], at);
      }
    }
    return { width, height, data };
  });
}

/** The body of `/v1/encode`. */
export function body(frames, times, duration) {
  const [{ width, height }] = frames;
  const bytes = new Uint8Array(32 + 8 * frames.length + 3 * width * height * frames.length);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("VSFRAMES"));
  [frames.length, width, height, 0].forEach((v, i) => view.setUint32(8 + 4 * i, v, true));
  view.setFloat64(24, duration, true);
  times.forEach((time, i) => view.setFloat64(32 + 8 * i, time, true));
  let at = 32 + 8 * frames.length;
  for (const { data } of frames) {
    for (let i = 0; i < data.length; i += 4) {
      bytes.set(data.subarray(i, i + 3), at);
      at += 3;
    }
  }
  return bytes;
}

/** Share of bits that two codes have in common. */
export function sharedBits(a, b) {
  let different = 0;
  a.forEach((v, i) => {
    for (let x = v ^ b[i]; x; x &= x - 1) different++;
  });
  return 1 - different / (8 * a.length);
}
