// The default bundle's backbone as ONNX.

/** The tensors of a safetensors file, as f32. */
export function tensors(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString("utf8"));
  const half = (h) => {
    const [sign, exponent, fraction] = [h >> 15 ? -1 : 1, (h >> 10) & 31, h & 1023];
    return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
  };
  return (name) => {
    const {
      dtype,
      shape,
      data_offsets: [from, to],
    } = header[`backbone.${name}`];
    const data = bytes.subarray(8 + length + from, 8 + length + to);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const count = shape.reduce((a, b) => a * b, 1);
    const at = dtype === "F16" ? (i) => half(view.getUint16(2 * i, true)) : (i) => view.getFloat32(4 * i, true);
    return { shape, data: Float32Array.from({ length: count }, (_, i) => at(i)) };
  };
}

/** Fields of protobuf. */
const varint = (n) => {
  const bytes = [];
  for (let v = BigInt(n); ; v >>= 7n) {
    if (v < 128n) return Buffer.from([...bytes, Number(v)]);
    bytes.push(Number(v & 127n) | 128);
  }
};
const number = (field, n) => Buffer.concat([varint(field << 3), varint(n)]);
const bytes = (field, ...parts) => {
  const body = Buffer.concat(parts.map((p) => (typeof p === "string" ? Buffer.from(p) : p)));
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
};

/** The plain residual backbone as ONNX: batch normalisation folded, an output for each stage. */
export function onnx(get, stages) {
  const [nodes, weights] = [[], []];
  const attribute = (name, ints) => bytes(5, bytes(1, name), ...ints.map((i) => number(8, i)), number(20, 7));
  const node = (type, inputs, output, ...attributes) =>
    nodes.push(bytes(1, ...inputs.map((i) => bytes(1, i)), bytes(2, output), bytes(4, type), ...attributes));
  const tensor = (name, shape, data) =>
    weights.push(
      bytes(5, ...shape.map((d) => number(1, d)), number(2, 1), bytes(8, name), bytes(9, Buffer.from(data.buffer))),
    );
  const conv = (name, norm, input, output, stride) => {
    const { shape, data } = get(`${name}.weight`);
    const [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(
      (part) => get(`${norm}.${part}`).data,
    );
    const scale = gamma.map((g, i) => g / Math.sqrt(variance[i] + 1e-5));
    const each = data.length / shape[0];
    tensor(
      `${name}.w`,
      shape,
      data.map((v, i) => v * scale[Math.floor(i / each)]),
    );
    tensor(
      `${name}.b`,
      [shape[0]],
      beta.map((b, i) => b - mean[i] * scale[i]),
    );
    const [kernel, pad] = [shape[2], Math.floor(shape[2] / 2)];
    node(
      "Conv",
      [input, `${name}.w`, `${name}.b`],
      output,
      attribute("kernel_shape", [kernel, kernel]),
      attribute("strides", [stride, stride]),
      attribute("pads", [pad, pad, pad, pad]),
    );
  };
  conv("stem", "stem_bn", "x", "stem", 2);
  node("Relu", ["stem"], "s0");
  for (let s = 1; s <= stages; s++) {
    conv(`stage${s}.conv1`, `stage${s}.bn1`, `s${s - 1}`, `a${s}`, 2);
    node("Relu", [`a${s}`], `b${s}`);
    conv(`stage${s}.shortcut`, `stage${s}.shortcut_bn`, `s${s - 1}`, `c${s}`, 2);
    conv(`stage${s}.conv2`, `stage${s}.bn2`, `b${s}`, `d${s}`, 1);
    node("Add", [`d${s}`, `c${s}`], `e${s}`);
    node("Relu", [`e${s}`], `s${s}`);
  }
  const value = (field, name, dims) =>
    bytes(
      field,
      bytes(1, name),
      bytes(
        2,
        bytes(
          1,
          number(1, 1),
          bytes(2, ...dims.map((d) => bytes(1, typeof d === "number" ? number(1, d) : bytes(2, d)))),
        ),
      ),
    );
  const outputs = Array.from({ length: stages }, (_, i) => value(12, `s${i + 1}`, ["n", "c", "h", "w"]));
  const graph = bytes(7, ...nodes, bytes(2, "backbone"), ...weights, value(11, "x", ["n", 3, "h", "w"]), ...outputs);
  return Buffer.concat([number(1, 8), graph, bytes(8, bytes(1, ""), number(2, 17))]);
}
