#!/usr/bin/env python3
"""Small data sets in the published layouts, and their figures by an independent implementation.

The formulas are those of the public evaluations (distill-and-select, s2vs, VCSL, vsc2022), written
anew from their definitions, without numpy, so that a mistake is not made twice. Everything is drawn
from one seed. Run `python3 reference.py` in this folder to make the files again; the features need
h5py (`python3 reference.py features`).
"""

import json
import pickle
import random
import struct
import sys

draw = random.Random(20220901)


def save(name, value, protocol=None):
    if protocol is None:
        with open(name, "w") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
    else:
        with open(name, "wb") as file:
            pickle.dump(value, file, protocol)


def some(items, share):
    return [item for item in items if draw.random() < share]


def scores(database, step):
    """Scores in steps, so that there are ties."""
    return {video: int(draw.random() * 2 * step - step) / step for video in database}


# Rankings -----------------------------------------------------------------------------------------


def ranking(row):
    """Best first; equal scores keep the order of the row."""
    order = {video: place for place, video in enumerate(row)}
    return sorted(row, key=lambda video: (-row[video], order[video]))


def precision_at_hits(ranked, relevant):
    """Of each hit: the share of hits up to its rank."""
    places = [place for place, video in enumerate(ranked, 1) if video in relevant]
    return [(number, place) for number, place in enumerate(places, 1)]


def average_precision(ranked, relevant, positives):
    return sum(number / place for number, place in precision_at_hits(ranked, relevant)) / positives


def mean(values):
    return sum(values) / len(values) if values else 0.0


def micro(pairs, positives):
    """Average precision of one list of (score, relevant); equal scores are one threshold."""
    total, hits_before = 0.0, 0
    for threshold in sorted({score for score, _ in pairs}, reverse=True):
        above = [relevant for score, relevant in pairs if score >= threshold]
        hits = sum(above)
        total += (hits - hits_before) / positives * (hits / len(above))
        hits_before = hits
    return total


# FIVR ---------------------------------------------------------------------------------------------

FIVR = {"DSVR": ["ND", "DS"], "CSVR": ["ND", "DS", "CS"], "ISVR": ["ND", "DS", "CS", "IS"], "DAVR": ["DA"]}


def fivr(annotation, queries, database, similarities, available):
    here = set(database) & available
    out = {}
    for task, labels in FIVR.items():
        values, pairs, positives, empty = [], [], 0, 0
        for query in queries:
            if query not in similarities:
                continue
            relevant = {v for label in labels for v in annotation[query].get(label, [])} & here
            ranked = [v for v in ranking(similarities[query]) if v != query and v in here]
            pairs += [(similarities[query][v], v in relevant) for v in ranked]
            positives += len(relevant)
            if relevant:
                values.append(average_precision(ranked, relevant, len(relevant)))
            else:
                empty += 1
        out[task] = {"map": mean(values), "queries": len(values), "without_relevant": empty}
        if positives:
            out[task]["uap"] = micro(pairs, positives)
    return out


def make_fivr():
    database = [f"v{i:03}" for i in range(60)]
    queries = ["v004", "v031", "q_far", "q_empty", "q_gone"]
    annotation = {}
    for query in queries:
        others = [v for v in database if v != query]
        taken = set()
        annotation[query] = {}
        for label, share in [("ND", 0.08), ("DS", 0.1), ("CS", 0.08), ("IS", 0.15), ("DA", 0.07)]:
            videos = [v for v in some(others, share) if v not in taken]
            taken |= set(videos)
            annotation[query][label] = videos
    annotation["q_empty"] = {"ND": [], "IS": ["v059"]}
    annotation["v004"]["DS"].append("never_published")
    available = set(database) - {"v059", "v010", "v011", "v023"} | {"q_far", "q_empty"}
    columns = [v for v in sorted(database) if v in available]
    similarities = {q: scores(columns, 12) for q in queries if q != "q_gone"}
    root = {"annotation": annotation, "5k": {"queries": queries, "database": database}}
    root["200k"] = {"queries": queries, "database": set(database) | {"w900"}}
    save("fivr.pickle", root, 4)
    save("fivr.json", {"annotation": annotation, "queries": queries, "database": database})
    save("fivr.similarities.json", similarities)
    save("fivr.similarities.pickle", similarities, 2)
    # The whole table in database order, null where a video is unavailable.
    rows = {q: [row.get(v) for v in sorted(database)] for q, row in similarities.items()}
    save("fivr.rows.json", {"similarities": rows, "available": sorted(available)})
    expected = fivr(annotation, queries, database, similarities, available)
    common = {"set": "fivr-5k", "expected": expected, "missing": {"queries": 1, "database": 4}}
    files = [("fivr.pickle", "fivr.similarities.json"), ("fivr.json", "fivr.similarities.pickle"), ("fivr.pickle", "fivr.rows.json")]
    cases = [{**common, "annotation": [a], "similarities": [s]} for a, s in files]
    large = {**common, "set": "fivr-200k", "missing": {"queries": 1, "database": 5}}
    return cases + [{**large, "annotation": ["fivr.pickle"], "similarities": ["fivr.similarities.json"]}]


# CC_WEB_VIDEO -------------------------------------------------------------------------------------

CC_WEB = {"mAP": (False, False), "mAP_star": (True, False), "mAP_c": (False, True), "mAP_c_star": (True, True)}


def cc_web(index, queries, truths, excluded, similarities, available):
    out = {}
    for task, (everything, clean) in CC_WEB.items():
        values, empty = [], 0
        for query, labels, left_out in zip(queries, truths, excluded):
            if query not in similarities:
                continue
            left_out = set(left_out) if clean else set()
            good = {n for n, label in labels.items() if label in "ESLMV" and n not in left_out}
            numbers = [index[v] for v in ranking(similarities[query]) if v in index and v in available]
            ranked = [n for n in numbers if n not in left_out and (everything or n in labels)]
            if good:
                values.append(average_precision(ranked, good, len(good)))
            else:
                empty += 1
        out[task] = {"map": mean(values), "queries": len(values), "without_relevant": empty}
    return out


def make_cc_web():
    videos = [f"{1 + i // 20}/{1 + i // 20}_{i}_Y" for i in range(60)]
    index = {v: i + 1 for i, v in enumerate(videos)}
    queries = [videos[0], videos[20], videos[40]]
    truths, excluded = [], []
    for s in range(3):
        labels = {}
        for video in videos[20 * s : 20 * s + 20]:
            labels[index[video]] = draw.choice(["E", "S", "L", "M", "V", "X", "-1"])
        labels[index[queries[s]]] = "E"
        truths.append(labels)
        excluded.append(some(labels, 0.15))
    # A set without anything relevant.
    truths[2] = {n: "X" for n in truths[2]}
    save("cc_web_video.pickle", {"index": index, "queries": queries, "ground_truth": truths, "excluded": excluded}, 2)
    cases = []
    for name, gone in [("all", []), ("part", [videos[3], videos[25], videos[26], videos[50]])]:
        available = set(videos) - set(gone)
        # A table of all videos, as the first public evaluation has it: unavailable ones have a score of 0.
        full = {q: scores(sorted(videos), 9) for q in queries}
        for row in full.values():
            row.update({v: 0.0 for v in gone})
        save(f"cc_web_video.{name}.json", {"similarities": full, "all_db": sorted(available)})
        expected = cc_web(index, queries, truths, excluded, full, available)
        cases.append({"set": "cc-web-video", "annotation": ["cc_web_video.pickle"],
                      "similarities": [f"cc_web_video.{name}.json"], "expected": expected,
                      "missing": {"queries": 0, "database": len(gone)}})
    # The original files, which exclude nothing.
    with open("cc_web_video.Seed.txt", "w") as file:
        file.writelines(f"*{s}\t{index[query]}\n" for s, query in enumerate(queries, 1))
    with open("cc_web_video.Video_Complete.txt", "w", encoding="latin1") as file:
        file.write("ID\tTopicID\tSource\tVideoName\tDuration\tTitle\n")
        for video, number in index.items():
            topic, name = video.split("/")
            file.write(f"{number}\t{topic}\tYouTube\t{name}.flv\t00:30\tpi\xf1ata {number}\n")
    names = ["cc_web_video.Seed.txt", "cc_web_video.Video_Complete.txt"]
    for s, labels in enumerate(truths, 1):
        names.append(f"GT_{s}.rst")
        with open(names[-1], "w") as file:
            file.writelines(f"{number}\t{label}\n" for number, label in labels.items())
    last = cases[-1]
    expected = cc_web(index, queries, truths, [[]] * 3, full, available)
    return [*cases, {**last, "annotation": names, "expected": expected}]


# EVVE ---------------------------------------------------------------------------------------------


def evve(events, queries, similarities, available):
    values, by_event, pairs, positives, empty = [], {}, [], 0, 0
    for name, (members, relevant, _) in events.items():
        relevant = relevant & available
        found = []
        for query in queries:
            if query not in members or query not in similarities:
                continue
            ranked = [v for v in ranking(similarities[query]) if v in available]
            pairs += [(similarities[query][v], v in relevant) for v in ranked]
            positives += len(relevant)
            area = 0.0
            for number, place in precision_at_hits(ranked, relevant):
                left = 1.0 if place == 1 else (number - 1) / (place - 1)
                area += (left + number / place) / 2
            found.append(area / len(relevant) if relevant else 0.0)
            empty += not relevant
        values += found
        count = len(members & available)
        if count:
            by_event[name] = sum(found) / count
    over = {"map": mean(values), "queries": len(values), "without_relevant": empty, "uap": micro(pairs, positives)}
    return {"mAP": over, "avg-mAP": {"map": mean(list(by_event.values())), "queries": len(by_event), "without_relevant": empty}}


def make_evve():
    database = [f"d{i:02}" for i in range(50)]
    events, queries = {}, []
    for e, name in enumerate(["austerity", "concert", "strike", "unseen"]):
        members = {f"q{e}{i}" for i in range(3)}
        queries += sorted(members)
        relevant = set() if name == "unseen" else set(some(database, 0.2))
        events[name] = (members, relevant, set())
    available = set(database) - {"d07", "d08"} | (set(queries) - {"q11"})
    columns = sorted(v for v in database if v in available)
    similarities = {q: scores(columns, 15) for q in queries if q != "q11"}
    save("evve.pickle", {"annotation": events, "queries": queries, "database": database}, 0)
    save("evve.json", similarities)
    for name, (members, relevant, _) in events.items():
        with open(f"evve.{name}.dat", "w") as file:
            for query in sorted(members):
                file.write(f"{query} 1 query\n")
            for video in database:
                file.write(f"{video} {1 if video in relevant else -1} database\n")
    expected = evve(events, queries, similarities, available)
    common = {"set": "evve", "similarities": ["evve.json"], "expected": expected, "missing": {"queries": 1, "database": 2}}
    original = [f"evve.{name}.dat" for name in events]
    return [{**common, "annotation": ["evve.pickle"]}, {**common, "annotation": original}]


# SVD ----------------------------------------------------------------------------------------------


def svd(labels, unlabeled, similarities, available):
    out = {}
    for task, distractors in [("mAP", unlabeled), ("mAP_labeled", [])]:
        values, empty = [], 0
        for query, targets in labels.items():
            row = similarities[query]
            pairs = [(row[v], bool(y)) for v, y in targets.items() if v in available]
            pairs += [(row[v], False) for v in distractors if v in available]
            hits = sum(relevant for _, relevant in pairs)
            values.append(micro(pairs, hits) if hits else 0.0)
            empty += not hits
        out[task] = {"map": mean(values), "queries": len(values), "without_relevant": empty}
    return out


def make_svd():
    labelled = [f"{i:04}.mp4" for i in range(24)]
    unlabeled = [f"u{i:04}.mp4" for i in range(30)]
    labels = {}
    for q in range(3):
        labels[f"query{q}.mp4"] = {v: int(draw.random() < 0.35) for v in labelled[8 * q : 8 * q + 8]}
    labels["query2.mp4"] = {v: 0 for v in labels["query2.mp4"]}
    gone = {labelled[0], unlabeled[4], unlabeled[5]}
    available = set(labelled) | set(unlabeled) | set(labels)
    available -= gone
    columns = sorted(v for v in labelled + unlabeled if v not in gone)
    similarities = {q: scores(columns, 6) for q in labels}
    with open("svd.test_groundtruth", "w") as file:
        for query, targets in labels.items():
            for video, label in targets.items():
                file.write(f"{query} {video} {label}\n")
    with open("svd.unlabeled-data-id", "w") as file:
        file.write("\n".join(unlabeled) + "\n")
    save("svd.json", similarities)
    expected = svd(labels, unlabeled, similarities, available)
    return [{"set": "svd", "annotation": ["svd.test_groundtruth", "svd.unlabeled-data-id"], "similarities": ["svd.json"],
             "expected": expected, "missing": {"queries": 0, "database": 3}}]


# VCDB ---------------------------------------------------------------------------------------------


def vcdb(queries, positives, similarities, available):
    values, pairs, total, empty = [], [], 0, 0
    for query in queries:
        if query not in similarities:
            continue
        relevant = positives[query] & available
        ranked = [v for v in ranking(similarities[query]) if v != query and v in available]
        pairs += [(similarities[query][v], v in relevant) for v in ranked]
        total += len(relevant)
        if relevant:
            values.append(average_precision(ranked, relevant, len(relevant)))
        else:
            empty += 1
    return {"mAP": {"map": mean(values), "queries": len(values), "without_relevant": empty, "uap": micro(pairs, total)}}


def make_vcdb():
    queries = [f"c{i:02}.flv" for i in range(12)]
    distractors = [f"d{i:02}.flv" for i in range(20)]
    positives = {q: set() for q in queries}
    lines = []
    for a in queries[:-1]:
        for b in queries[:-1]:
            if a < b and draw.random() < 0.3:
                positives[a].add(b)
                positives[b].add(a)
                lines.append(f"{a},{b},00:00:01,00:00:09,00:00:03,00:00:11")
    # Copied within itself: no pair of two videos.
    lines.append(f"{queries[-1]},{queries[-1]},00:00:01,00:00:02,00:00:03,00:00:04")
    for query in queries[:-1]:
        if not positives[query]:
            lines.append(f"{query},{query},00:00:01,00:00:02,00:00:03,00:00:04")
    available = set(queries) | set(distractors)
    available -= {"c03.flv", "d11.flv"}
    columns = sorted(available)
    similarities = {q: scores(columns, 10) for q in queries if q in available}
    save("vcdb.pickle", {"queries": queries, "positives": positives, "dataset": distractors}, 3)
    with open("vcdb.txt", "w") as file:
        file.write("\n".join(lines) + "\n")
    with open("vcdb.distractors.txt", "w") as file:
        file.write("\n".join(distractors) + "\n")
    save("vcdb.json", similarities)
    expected = vcdb(queries, positives, similarities, available)
    common = {"set": "vcdb", "similarities": ["vcdb.json"], "expected": expected, "missing": {"queries": 1, "database": 2}}
    return [{**common, "annotation": ["vcdb.pickle"]}, {**common, "annotation": ["vcdb.txt", "vcdb.distractors.txt"]}]


# Merging ------------------------------------------------------------------------------------------


def make_merge():
    """Coarse, fine and selector scores of the EVVE set: the mAP of every twentieth."""
    root = pickle.load(open("evve.pickle", "rb"))
    events, queries = root["annotation"], root["queries"]
    columns = sorted(set(root["database"]) - {"d07", "d08"})
    tables = {name: {q: scores(columns, step) for q in queries} for name, step in [("coarse", 30), ("fine_binary", 40)]}
    doubt = {q: {v: int(draw.random() * 1000) / 1024 for v in columns} for q in queries}
    for name, table in [*tables.items(), ("selector", doubt)]:
        save(f"merge.{name}.json", table)
    available = set(columns) | set(queries)
    curve = []
    for share in range(0, 101, 5):
        merged = {}
        for q in queries:
            again = ranking(doubt[q])[: int(share / 100 * len(columns))]
            merged[q] = {v: tables["fine_binary"][q][v] / 2 + 0.5 if v in again else tables["coarse"][q][v] for v in columns}
        curve.append(evve(events, queries, merged, available)["mAP"]["map"])
    return curve


# Segments -----------------------------------------------------------------------------------------


def single(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def union(stretches):
    out = []
    for start, end in sorted(stretches):
        if out and start <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([start, end])
    return out


def length(stretches):
    return sum(end - start for start, end in union(stretches))


def length_single(stretches):
    total = 0.0
    for start, end in union(stretches):
        total = single(total + single(single(end) - single(start)))
    return total


def common(a, b):
    """Of boxes (x1, y1, x2, y2)."""
    box = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    return box if box[2] > box[0] and box[3] > box[1] else None


def covered(boxes, others):
    product = 1.0
    for axis in (0, 1):
        found = 0.0
        for box in boxes:
            parts = [part for part in (common(box, other) for other in others) if part]
            if parts:
                found += length_single([(part[axis], part[axis + 2]) for part in parts])
        product *= found / (sum(box[axis + 2] - box[axis] for box in boxes) + 1e-6)
    return product


def vcsl(labels, predictions, groups):
    results = {}
    for name, truth in labels.items():
        guess = predictions.get(name, [])
        if truth and guess:
            results[name] = (covered(guess, truth), covered(truth, guess))
        else:
            results[name] = (0.0 if guess else 1.0, 0.0 if truth else 1.0)
    sets = [(mean([results[n][0] for n in names]), mean([results[n][1] for n in names])) for names in groups.values()]
    f1 = lambda p, r: {"precision": p, "recall": r, "f1": 2 * p * r / (p + r)}
    some_precision = [p for p, _ in results.values() if p != 1]
    some_recall = [r for _, r in results.values() if r != 1]
    positive = sum(1 for truth in labels.values() if truth)
    return {"macro_average": f1(mean([s[0] for s in sets]), mean([s[1] for s in sets])),
            "micro_average": f1(mean(some_precision), mean(some_recall)),
            "false_rejection_rate": sum(r == (1.0, 0.0) for r in results.values()) / positive,
            "false_alarm_rate": sum(r == (0.0, 1.0) for r in results.values()) / (len(labels) - positive)}


def box(limit, digits):
    a, b = sorted(round(draw.random() * limit, digits) for _ in range(2))
    c, d = sorted(round(draw.random() * limit, digits) for _ in range(2))
    return [a, c, b + 1, d + 1]


def make_vcsl():
    labels, predictions, groups = {}, {}, {}
    for q in range(4):
        for r in range(5):
            name = f"{q:08x}-{r:08x}"
            labels[name] = [box(60, 2) for _ in range(draw.randrange(0, 4))]
            predictions[name] = [[v + draw.choice([0, 0, 0.25, -0.5]) for v in b] for b in some(labels[name], 0.8)]
            predictions[name] += [box(60, 1) for _ in range(draw.randrange(0, 2))]
            groups.setdefault(f"set{(q + r) % 3}", []).append(name)
    for boxes in predictions.values():
        for b in boxes:
            b[2], b[3] = max(b[0], b[2]), max(b[1], b[3])
    del predictions["00000001-00000002"]
    save("vcsl.labels.json", labels)
    save("vcsl.predictions.json", predictions)
    half = list(groups)
    save("vcsl.groups.json", {"val": {half[0]: groups[half[0]]}, "test": {n: groups[n] for n in half[1:]}})
    by_query = {}
    for name in labels:
        by_query.setdefault(name.split("-")[0], []).append(name)
    test = {n: groups[n] for n in half[1:]}
    return {"all": vcsl(labels, predictions, groups), "test": vcsl(labels, predictions, test), "by_query": vcsl(labels, predictions, by_query)}


def vsc(labels, predictions):
    """From scratch at every threshold instead of step by step."""
    pairs = sorted({key[:2] for key in labels})
    boxes = lambda rows, pair: [row[2:6] for row in rows if row[:2] == pair]
    whole = [sum(length([(b[axis], b[axis + 2]) for b in boxes(labels, pair)]) for pair in pairs) for axis in (0, 1)]
    value, recall_before = 0.0, 0.0
    for threshold in sorted({row[6] for row in predictions}, reverse=True):
        shown = [row for row in predictions if row[6] >= threshold]
        found, guessed = [0.0, 0.0], [0.0, 0.0]
        for pair in sorted({row[:2] for row in shown}):
            guesses = boxes(shown, pair)
            truth = [b for b in boxes(labels, pair) if any(common(b, g) for g in guesses)]
            for axis in (0, 1):
                a = [(g[axis], g[axis + 2]) for g in guesses]
                b = [(t[axis], t[axis + 2]) for t in truth]
                found[axis] += length(a) + length(b) - length(a + b)
                guessed[axis] += length(a)
        recall = (found[0] / whole[0] * found[1] / whole[1]) ** 0.5
        precision = (found[0] / guessed[0] * found[1] / guessed[1]) ** 0.5
        value += precision * (recall - recall_before)
        recall_before = recall
    best = {}
    for row in predictions:
        best[row[:2]] = max(best.get(row[:2], 0.0), row[6])
    ranked = ranking(best)
    return {"segment_uap": value, "pair_uap": average_precision(ranked, pairs, len(pairs))}


def make_vsc():
    labels, predictions = [], []
    for q in range(5):
        for r in range(6):
            pair = (f"Q{100 + q}", f"R{200 + r}")
            if draw.random() < 0.4:
                labels += [pair + tuple(box(40, 3)) for _ in range(draw.randrange(1, 3))]
    for row in labels:
        if draw.random() < 0.8:
            moved = [v + draw.random() * 2 for v in row[2:6]]
            predictions.append(row[:2] + tuple(moved) + (int(draw.random() * 20) / 20,))
    for _ in range(12):
        pair = (f"Q{100 + draw.randrange(5)}", f"R{200 + draw.randrange(6)}")
        predictions.append(pair + tuple(box(40, 3)) + (int(draw.random() * 16) / 20,))
    head = "query_id,ref_id,query_start,query_end,ref_start,ref_end"
    with open("vsc.labels.csv", "w") as file:
        file.write(head + "\n")
        for q, r, a, b, c, d in labels:
            file.write(f"{q},{r},{a!r},{c!r},{b!r},{d!r}\n")
    with open("vsc.predictions.csv", "w") as file:
        file.write("score," + head + "\n")
        for q, r, a, b, c, d, score in predictions:
            file.write(f"{score!r},{q},{r},{a!r},{c!r},{b!r},{d!r}\n")
    return vsc(labels, predictions)


def features():
    """The HDF5 layouts of the public feature files; a value is (31 t + 7 r + d) mod 64 / 64."""
    import h5py
    import numpy

    def block(t, r, d):
        at = 31 * numpy.arange(t)[:, None, None] + 7 * numpy.arange(r)[None, :, None] + numpy.arange(d)[None, None, :]
        return at % 64 / 64

    with h5py.File("features.hdf5", "w") as file:
        file.create_dataset("plain", data=block(5, 9, 16).astype("float32"))
        file.create_dataset("1/1_1_Y", data=block(2, 9, 16).astype("float32"))
        file.create_dataset("1/1_2_Y", data=block(7, 9, 16).astype("float16"))
        file.create_dataset("double", data=block(3, 9, 16))
        file.create_dataset("packed", data=block(9, 9, 16).astype("float32"), chunks=(4, 9, 16), compression="gzip", shuffle=True)
        file.create_dataset("flat", data=block(6, 1, 16)[:, 0].astype("float32"))
        file.create_dataset("empty", data=numpy.zeros((0, 9, 16), "float32"))
        file.create_dataset("whole_numbers", data=numpy.arange(6).reshape(3, 2))
        broken = block(4, 9, 16).astype("float32")
        broken[2, 1, 0] = numpy.nan
        file.create_dataset("not_a_number", data=broken)
    with h5py.File("features.latest.hdf5", "w", libver="latest") as file:
        for i in range(40):
            file.create_dataset(f"many/video{i}", data=block(2, 1, 4).astype("float32"))


if __name__ == "__main__":
    if sys.argv[1:] == ["features"]:
        features()
    else:
        cases = make_fivr() + make_cc_web() + make_evve() + make_svd() + make_vcdb()
        save("expected.json", {"cases": cases, "merge": make_merge(), "vcsl": make_vcsl(), "vsc": make_vsc()})
