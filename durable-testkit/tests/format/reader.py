"""An independent reader of a store, written from docs/journal-format.md alone; it never writes.

Usage: reader.py DIRECTORY...   For each directory one line on standard output: a JSON object with `verdict` ("ok", "rot" or
"undecodable" with `file` and `offset` of the first finding, "not-a-store", "newer-format"), and, of a store, its id, last LSN, whether it was closed cleanly, the store's
own events, its checkpoints, and every run with its events. Bytes are shown as hex, times as microseconds, digests as numbers.

It trusts what a reader in another process may trust (section 5): every frame with a readable one behind it, and an empty last one.
Numbers in parentheses are sections of the document.
"""

import json
import pathlib
import re
import struct
import sys
import zlib

MAGIC = struct.pack("<I", 0x304D5246)
HEADER, FIRST, NAMES_MAX, EVENT_MAX, U64 = 48, 4096, 1024, 16 << 20, (1 << 64) - 1


class Broken(Exception):
    """Bytes that no rule of the document gives a meaning."""


class Bytes:
    def __init__(self, data):
        self.data, self.pos = data, 0

    def left(self):
        return len(self.data) - self.pos

    def take(self, count):
        if count > self.left():
            raise Broken(f"{count} bytes wanted, {self.left()} are left")
        self.pos += count
        return self.data[self.pos - count : self.pos]

    def uint(self, size):
        return int.from_bytes(self.take(size), "little")

    def leb(self):  # (1)
        value = 0
        for shift in range(0, 70, 7):
            byte = self.uint(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value > U64 or (shift and not byte):
                    raise Broken("a number over 64 bits, or not in its shortest form")
                return value
        raise Broken("a number over 64 bits")

    def zz(self):
        value = self.leb()
        return value >> 1 if value % 2 == 0 else -(value >> 1) - 1


def wrap(time):  # times are i64; a distance wraps (1)
    return (time + (1 << 63)) % (1 << 64) - (1 << 63)


# Types of fields (8): each is called with the input, the time distances count from, and the names (of the checkpoint: the texts).


def number(b, *_):
    first = b.uint(1)
    if first <= 250:
        return first
    if first > 253:
        raise Broken(f"{first} begins no number of 64 bits")
    return b.uint(2 << (first - 251))


def signed(b, *_):
    value = number(b)
    return value >> 1 if value % 2 == 0 else -(value >> 1) - 1


def flag(b, *_):
    value = b.uint(1)
    if value > 1:
        raise Broken(f"{value} is neither 0 nor 1")
    return value == 1


def data(b, *_):
    return b.take(number(b)).hex()


def text(b, *_):
    return decoded(b.take(number(b)))


def decoded(raw):
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Broken(f"a text is not UTF-8: {error}") from error


def payload(b, *_):  # (9): the header is checked, the whole is shown
    raw = b.take(number(b))
    inner = Bytes(raw)
    if raw:
        head = inner.uint(1)
        if head & 15 not in (1, 2, 3) or head & 0xC0:
            raise Broken(f"{head:#04x} begins no payload")
        if head & 0x10:
            inner.take(1)
            inner.take(inner.uint(1))
        if head & 0x20:
            inner.take(20)
    return raw.hex()


def distance(b, at, _):
    return wrap(at + signed(b))


def digest(b, *_):
    return b.uint(8)


def id16(b, *_):
    return b.take(16).hex()


def bytes25(b, *_):
    return b.take(25).hex()


def shared(b, _, texts):
    return pick(texts, number(b))


def pick(items, index):
    if index >= len(items):
        raise Broken(f"{index} is not among {len(items)}")
    return items[index]


def maybe(kind):
    return lambda b, *c: kind(b, *c) if flag(b) else None


def many(kind):
    return lambda b, *c: [kind(b, *c) for _ in range(number(b))]


def pair(one, other):
    return lambda *c: [one(*c), other(*c)]


def fields(described):
    """A record from "name type, name type, ..": its fields in the order they stand."""
    parts = [part.split() for part in described.split(",") if part]
    return lambda *c: {field: TYPES[kind](*c) for field, kind in parts}


def choice(*variants):
    """Each variant is "label" or "label: name type, ..". One without fields is shown as its label, another as {label: record}."""
    table = [(v.split(":")[0], fields(v.partition(":")[2]) if ":" in v else None) for v in variants]

    def read(b, *c):
        label, record = pick(table, number(b))
        return {label: record(b, *c)} if record else label

    return read


def name(with_shape):
    def read(b, _, names):
        index = number(b)
        if index > len(names):
            raise Broken(f"name {index} where {len(names)} are known")
        if index < len(names):
            known = names[index]
            if with_shape != (known[1] is not None):
                raise Broken(f"name {index} with a shape where none belongs, or the other way round")
            return known
        new = [text(b), digest(b) if with_shape else None]
        if new in names:
            raise Broken(f"the known name {new} is written in full")
        if index < NAMES_MAX:
            names.append(new)
        return new

    return read


def scheduled(*c):
    head = fields("seq number, activity shaped, value digest")(*c)
    bits = number(*c)
    if bits >> 9:
        raise Broken(f"{bits:#x} has bits that mean nothing")
    labels = (("at_most_once", 0), ("by_token", 1), ("undo", 2), ("undo_for_unknown", 3), ("awaited_when_dropped", 8))
    head |= {label: bool(bits >> bit & 1) for label, bit in labels}
    follow = (("queue", text), ("deadline", distance), ("undoes", number), ("input", payload))
    return head | {label: kind(*c) if bits >> bit & 1 else None for bit, (label, kind) in enumerate(follow, 4)}


TYPES = {
    "number": number, "signed": signed, "bool": flag, "bytes": data, "text": text, "payload": payload, "distance": distance,
    "digest": digest, "id16": id16, "shared": shared, "shaped": name(True), "plain": name(False), "scheduled": scheduled,
    "number?": maybe(number), "distance?": maybe(distance), "numbers": many(number), "pairs": many(pair(text, payload)),
    "trace": maybe(bytes25), "parent": maybe(pair(number, number)), "calls": many(pair(number, text)),
    "end": choice("completed", "failed", "cancelled", "timed out", "terminated", "compensation failed", "not started"),
    "close": choice("cancel", "terminate", "abandon"),
    "timeout": choice("start-to-close", "schedule-to-close", "schedule-to-start", "heartbeat"),
    "cause": choice("error: error payload, text text", "timed out", "panicked: text text", "interrupted"),
    "sender": choice("anonymous", "message: message text", "run: run id16, seq number"),
    "state": choice("scheduled", "started: attempt number", "failed: attempt number, due distance, cause text",
                    "parked: attempt number"),
    "stand": choice("open", "stands", "unknown", "undone", "not undone"),
}
TYPES["end?"] = maybe(TYPES["end"])
TYPES["error"] = choice("error: error payload, text text", "timed out: which timeout", "cancelled", "interrupted",
                        "panicked: text text")
TYPES["entries"] = many(choice(
    "ActivityScheduled: call scheduled", "TimerStarted: seq number, due distance", "SignalAwaited: seq number, name plain",
    "SignalSent: seq number, to text, name plain, value digest",
    "ChildScheduled: seq number, workflow shaped, child number, id text, value digest, close close",
    "CompensationRegistered: seq number, name text, scope number", "ScopeOpened: scope number, parent number", "ScopeClosed: scope number",
    "CommandDropped: seq number", "SignalTaken: seq number"))
TYPES["what"] = choice(
    "activity: name shared, at_most_once bool, by_token bool, queue shared, deadline distance?, undo bool, "
    "undo_for_unknown bool, awaited_when_dropped bool, state state, maybe bool",
    "timer: due distance", "signal: name shared", "child: child number, id text, close close")
TYPES["waiting"] = many(fields("seq number, since distance, what what"))
TYPES["blocked"] = maybe(fields("build shared, reason text, since distance"))
TYPES["undos"] = many(fields("seq number, name shared, undo bool, undo_for_unknown bool, awaited_when_dropped bool, state stand, "
                             "dropped bool, by number?"))

KINDS = {kind: (label, fields(described)) for kind, label, described in (
    (0x10, "RunStarted", "run id16, namespace text, id text, workflow text, version number, input payload, value digest, "
     "shape digest, trace trace, headers pairs, build text, semantics number, deadline distance?, attributes pairs, parent parent, seed id16, "
     "salt id16, queue text, priority signed, message text"),
    (0x18, "Turn", "of number, entries entries"),
    (0x20, "AttemptStarted", "seq number, attempt number"),
    (0x22, "AttemptFailed", "seq number, attempt number, began distance, cause cause, due distance, maybe bool"),
    (0x24, "AttemptParked", "seq number, attempt number"),
    (0x30, "ActivityCompleted", "seq number, attempt number, began distance, result payload"),
    (0x32, "ActivityFailed", "seq number, attempt number, began distance, exhausted number?, error error, maybe bool"),
    (0x40, "TimerFired", "seq number, at distance"),
    (0x48, "SignalReceived", "name text, payload payload, sender sender"),
    (0x50, "ChildEnded", "seq number, how end, body end, result payload, undone calls, not_undone calls, unknown calls"),
    (0x58, "CancelRequested", "scope number, actor text, reason text, message text"),
    (0x5A, "RunTimedOut", "at distance"),
    (0x60, "CompensationStarted", "cause end, result payload"),
    (0x68, "RunEnded", "how end, body end, result payload, undone calls, not_undone calls, unknown calls, actor text, "
     "reason text"),
    (0x70, "BuildChanged", "build text"),
    (0x78, "RunBlocked", "build text, reason text"),
    (0x7A, "RunUnblocked", "build text, reason text"),
    (0x100, "Opened", "build text, pid number, host text"),
    (0x102, "Closed", ""),
    (0x110, "Checkpoint", "part number, of number, tables bytes"),
)}
NO_EVENT = "none at all"
STORE_KINDS = ("Opened", "Closed", "Checkpoint")


def event(b, at, names):  # (7)
    kind, version, flags, length = b.uint(2), b.uint(1), b.uint(1), b.leb()
    if length > EVENT_MAX:
        raise Broken(f"an event of {length} bytes")
    body = Bytes(b.take(length))
    if kind not in KINDS or version != 1 or flags > 1:
        return {"kind": f"{kind:#06x}", "skipped": bool(flags & 1), "body": body.data.hex()}
    label, record = KINDS[kind]
    try:
        shown = {"kind": label, "fields": record(body, at, names)}
    except Broken as error:
        raise Refused(f"{label}: {error}") from error
    if body.left():
        raise Refused(f"{label}: {body.left()} bytes follow its body")
    return shown


class Refused(Exception):
    """An event that is whole as bytes and whose body means nothing."""


class Frame:  # (4)
    def __init__(self, segment, offset, content, lsn, base, at, chain, crc, body):
        self.segment, self.offset, self.size = segment, offset, (len(content) + 7) // 8 * 8
        self.lsn, self.base, self.at, self.chain, self.crc, self.body = lsn, base, at, chain, crc, body


def frame_at(store, segment, raw, offset):
    head = raw[offset : offset + HEADER]
    if len(head) < HEADER:
        return None
    magic, length, checksum, zero, lsn, base, at, chain, other = struct.unpack("<4sIIIQQqII", head)
    content = raw[offset : offset + length]
    if magic != MAGIC or zero or other or length < HEADER or len(content) < length:
        return None
    crc = zlib.crc32(content[HEADER:], zlib.crc32(head[16:44], zlib.crc32(head[4:8])))
    if zlib.crc32(store + struct.pack("<QQ", segment, offset), crc) != checksum:
        return None
    return Frame(segment, offset, content, lsn, base, at, chain, crc, content[HEADER:])


def frames_of(store, segment, raw):
    """The readable frames of a segment, each with the unreadable place before it, if there is one."""
    offset, unread = FIRST, None
    while offset + HEADER <= len(raw):
        frame = frame_at(store, segment, raw, offset)
        if frame:
            yield frame, unread
            offset, unread = offset + frame.size, None
            continue
        unread = offset if unread is None else unread
        offset = raw.find(MAGIC, offset + 1)
        while offset % 8 and offset != -1:
            offset = raw.find(MAGIC, offset + 1)
        if offset == -1:
            return


def belongs_elsewhere(store, segment, raw):
    """Whether a whole header block names another store or another segment (3)."""
    whole = len(raw) >= FIRST and raw[:8] == b"DURSEG\r\n" and zlib.crc32(raw[:FIRST - 4]) == struct.unpack_from("<I", raw, FIRST - 4)[0]
    return whole and raw[16:40] != store + struct.pack("<Q", segment)


class Log:
    """The decision table (5), over segments in the order of their numbers."""

    def __init__(self, store, directory):
        self.taken, self.places, self.rot, self.missing = {}, {}, [], {}
        self.oldest = 1  # a frame connects to none before this one: the log began anew there
        paths = {int(path.name[:16], 16): path for path in directory.iterdir() if re.fullmatch(r"[0-9a-f]{16}\.seg", path.name)}
        segments = sorted(number for number in paths if number)
        for segment in segments:
            last, raw = None, paths[segment].read_bytes()
            if belongs_elsewhere(store, segment, raw):
                self.rot.append(finding(segment, 0, "the segment was written to stand elsewhere"))
            for frame, unread in frames_of(store, segment, raw):
                self.places[segment, frame.offset] = frame
                self.take(frame, last, unread)
                last = frame
        newest = self.taken[max(self.taken)] if self.taken else None
        self.base = newest.base if newest else 1
        self.rot += [self.missing[lsn] for lsn in sorted(self.missing) if lsn > self.base]
        self.trusted = [self.taken[lsn] for lsn in sorted(self.taken) if lsn >= self.base]
        if newest and newest.body:
            self.trusted.remove(newest)

    def take(self, frame, last, unread):
        before = self.taken.get(frame.lsn - 1) if frame.lsn > self.oldest else None
        connects = frame.chain == 0 if frame.lsn == 1 else before is not None and before.crc == frame.chain
        if unread is not None:
            self.rot.append(finding(frame.segment, unread, "readable frames stand behind an unreadable place"))
        elif last and not (connects and frame.lsn == last.lsn + 1):
            self.rot.append(finding(frame.segment, frame.offset, "a frame does not follow the one before it"))
        for table in (self.taken, self.missing):
            for lsn in [lsn for lsn in table if lsn >= frame.lsn]:
                del table[lsn]
        if not connects:
            self.oldest = frame.lsn
            if last is None and unread is None:
                self.missing[frame.lsn] = finding(frame.segment, frame.offset, "the frames before this one are missing")
        self.oldest = min(self.oldest, frame.lsn)
        self.taken[frame.lsn] = frame


def finding(segment, offset, why):
    return {"file": f"{segment:016x}.seg", "offset": offset, "why": why}


class Undos:
    """What of a run may have to be undone (12): a fold of its events, which its end and a checkpoint must agree with."""

    def __init__(self):
        self.calls = []

    def take(self, shown):
        fields = shown.get("fields", {})
        if shown["kind"] == "Turn":
            for entry in fields["entries"]:
                (kind, entry), = entry.items()
                self.entry(kind, entry)
        elif shown["kind"] == "ActivityCompleted":
            self.settled(fields["seq"], "undone", lambda call: "stands" if call["undo"] else None)
        elif shown["kind"] == "ActivityFailed":
            binds = lambda call: fields["maybe"] and (call["undo"] or call["undo_for_unknown"])
            self.settled(fields["seq"], "not undone", lambda call: "unknown" if binds(call) else None)

    def entry(self, kind, entry):
        if kind == "ActivityScheduled":
            entry = entry["call"]
            for call in self.newest(lambda call: call["seq"] == entry["undoes"]):
                call["by"] = entry["seq"]
            bits = {bit: entry[bit] for bit in ("undo", "undo_for_unknown", "awaited_when_dropped")}
            if any(bits.values()):
                self.add(entry["seq"], entry["activity"][0], bits, "open")
        elif kind == "CompensationRegistered":
            bits = {"undo": True, "undo_for_unknown": False, "awaited_when_dropped": False}
            self.add(entry["seq"], entry["name"], bits, "stands")
        elif kind == "CommandDropped":
            for call in self.newest(lambda call: call["seq"] == entry["seq"]):
                call["dropped"] = True

    def add(self, seq, named, bits, state):
        self.calls.append({"seq": seq, "name": named, **bits, "state": state, "dropped": False, "by": None})

    def newest(self, is_it):
        return [call for call in self.calls if is_it(call)][-1:]

    def settled(self, seq, undoing, state_of):
        for call in self.newest(lambda call: call["seq"] == seq and call["state"] == "open"):
            self.calls = [other for other in self.calls if other is not call]
            if state := state_of(call):
                self.calls.append({**call, "state": state})
        for call in self.newest(lambda call: call["by"] == seq):
            call["state"] = undoing

    def named_by(self, end):
        """The lists of an end whose body ended so."""
        lists = {"undone": [], "not_undone": [], "unknown": []}
        for call in self.calls:
            if which := self.list_of(call, end):
                lists[which].append([call["seq"], call["name"]])
        return lists

    @staticmethod
    def list_of(call, end):
        state, terminated = call["state"], end == "terminated"
        if state in ("undone", "not undone"):
            return state.replace(" ", "_")
        if state == "stands":
            return "not_undone" if terminated else None
        if state == "open":
            return "unknown" if terminated and (call["undo"] or call["undo_for_unknown"]) else None
        return "unknown" if call["dropped"] or end != "completed" else None

    def copy(self):
        return [dict(call) for call in self.calls]


class Run:
    def __init__(self, number):
        self.number, self.events, self.names, self.error, self.undos = number, [], [], None, Undos()
        self.next, self.last, self.prev = 0, None, None  # `last`: the frame with its newest events; `prev`: what that one names

    def section(self, log, frame, first, prev):
        """Whether this section goes on where the run stands (6)."""
        again = self.last is frame
        if again and prev != self.prev:
            return "sections of one frame name different frames before them"
        if not again:
            led = log.places.get(prev)
            expected = self.last
            if (prev is None) != (expected is None):
                return f"what is before event {first} is not where the section says"
            if prev and (led is None or (led.lsn, led.crc) != (expected.lsn, expected.crc)):
                return f"event {first} says that the ones before it are at {prev}, and they are not"
        if first != self.next:
            return f"event {self.next} is missing before {first}"
        self.last, self.prev = frame, prev
        return None

    def take(self, at, shown):
        if self.events and self.events[-1]["kind"] == "RunEnded":
            self.error = self.error or f"event {self.next} follows the end of the run"
        if (shown["kind"] == "RunStarted") != (self.next == 0) or shown["kind"] in STORE_KINDS:
            self.error = self.error or f"event {self.next} cannot be a {shown['kind']}"
        if shown.get("skipped") is False:
            self.error = self.error or f"event {self.next} is of the unknown kind {shown['kind']}"
        self.undos.take(shown)
        if shown["kind"] == "RunEnded" and (why := self.wrong_end(shown["fields"])):
            self.error = self.error or why
        self.events.append({"no": self.next, "at": at, **shown})
        self.next += 1

    def wrong_end(self, end):
        lists = self.undos.named_by(end["body"])
        if any(end[which] != calls for which, calls in lists.items()):
            return f"its end names other calls than its events do: {lists}"
        failed = end["body"] != "terminated" and lists["not_undone"]
        cause = [event["fields"] for event in self.events if event["kind"] == "CompensationStarted"]
        if cause and end["body"] not in ("terminated", cause[0]["cause"]):
            return "its body ended otherwise than was recorded when its undoing began"
        if end["how"] != ("compensation failed" if failed else end["body"]):
            return f"a body that ended {end['body']} makes no end of the kind {end['how']} here"
        return None

    def shown(self):
        started = self.events[0]["fields"] if self.events and self.events[0]["kind"] == "RunStarted" else {}
        ended = bool(self.events) and self.events[-1]["kind"] == "RunEnded"
        return {"run": self.number, "id": started.get("id"), "state": "broken" if self.error else "ended" if ended else "open",
                "error": self.error, "events": self.events}


class Store:
    """Frames to journals (6, 7), and checkpoints (10)."""

    def __init__(self, store, log):
        self.id, self.log, self.runs, self.own, self.checkpoints, self.parts = store, log, {}, [], [], []
        self.last_event, self.undecodable = NO_EVENT, None
        for frame in log.trusted:
            try:
                self.frame(frame)
            except Broken as error:
                self.undecodable = self.undecodable or finding(frame.segment, frame.offset, str(error))

    def frame(self, frame):
        b, index = Bytes(frame.body), 0
        while b.left():
            run, first, prev = b.leb(), b.leb(), b.leb()
            prev = (prev, b.leb() * 8) if prev else None
            at, count = wrap(frame.at + b.zz()), b.leb()
            if run == 0 and (first or prev):
                raise Broken("the store's own events have no number and nothing before them")
            state = self.runs.setdefault(run, Run(run)) if run else None
            if state and not state.error:
                state.error = state.section(self.log, frame, first, prev)
            for _ in range(count):
                self.event(b, at, state, frame, index)
            index += 1

    def event(self, b, at, run, frame, index):
        try:
            shown = event(b, at, run.names if run else [])
        except Refused as error:
            if run is None:
                raise Broken(str(error)) from error
            run.error, self.last_event = run.error or str(error), None
            return
        self.last_event = shown["kind"]
        if run:
            if not run.error:
                run.take(at, shown)
        elif shown["kind"] == "Checkpoint":
            self.part(frame, index, shown["fields"])
        elif shown["kind"] in STORE_KINDS or shown.get("skipped"):
            self.own.append({"lsn": frame.lsn, "at": at, **shown})
        else:
            raise Broken(f"{shown['kind']} is no event of the store")

    def part(self, frame, index, part):
        if index or part["part"] >= part["of"]:
            raise Broken("a part of a checkpoint is not the first section of its frame, or is none of its parts")
        if part["part"] == 0:
            here = {run.number: (run.next, run.last, [*run.names], run.undos.copy()) for run in self.runs.values() if not run.shown()["state"] == "ended"}
            ended = [run.events[0]["fields"] for run in self.runs.values() if run.shown()["state"] == "ended"]
            self.parts = [(frame.lsn, here, ended)]
        if not self.parts or frame.lsn != self.parts[0][0] + part["part"] or len(self.parts) != part["part"] + 1:
            self.parts = []
            return
        self.parts.append(part["tables"])
        if len(self.parts) == part["of"] + 1:
            (lsn, here, ended), *parts = self.parts
            self.checkpoints.append({"lsn": lsn, **checkpoint(self, bytes.fromhex("".join(parts)), here, ended)})


def checkpoint(store, raw, here, ended):
    """Reads a checkpoint and holds it against the journals as they were before its part 0."""
    b = Bytes(raw)
    if b.uint(1) != 2:
        raise Broken("a checkpoint of another version")
    layers = filter_layers(Bytes(b.take(b.leb())))
    b.leb(), b.uint(8)  # what the index holds
    for _ in range(b.leb()):  # the newest runs of ids that are used again
        b.take(16), b.leb()
    open_runs, wrong = {}, []
    for _ in range(b.leb()):
        run, place = b.leb(), (b.leb(), b.leb() * 8)
        open_runs[run] = (place, names_table(b))
    tables = tables_of(b)
    listed = {run["no"]: run for run in tables["runs"]}
    for run in sorted({*here, *open_runs, *listed}):
        if why := contradiction(store, here.get(run), open_runs.get(run), listed.get(run)):
            wrong.append(f"run {run}: {why}")
            if run in here:  # its newest events before the checkpoint are missing
                store.runs[run].error = store.runs[run].error or f"a checkpoint shows that it is not whole: {why}"
    for run in ended:
        hashed = siphash128(store.id, struct.pack("<I", len(run["namespace"].encode())) + (run["namespace"] + run["id"]).encode())
        if not any(layer_holds(level, words, hashed) for level, words in enumerate(layers)):
            wrong.append(f"the closed id {run['id']} is not in the filter")
    return {"next_run": tables["next_run"], "runs": tables["runs"], "wrong": wrong}


def contradiction(store, here, kept, listed):
    if here is None or kept is None or listed is None:
        return "the journals, the places and the tables do not hold it alike"
    (following, last, names, undos), (place, kept_names) = here, kept
    led = store.log.places.get(place)
    if listed["next_event"] != following or names != kept_names or led is None or led.crc != last.crc:
        return "its next event, its names or its place are not those of its journal"
    if listed["undos"] != undos:
        return f"what may have to be undone is not what its journal shows: {undos}"
    return None


def names_table(b):
    names = []
    for _ in range(b.leb()):
        known = decoded(b.take(b.leb()))
        names.append([known, b.uint(8) if flag(b) else None])
    return names


RUN_STATE = (
    "no number, run id16, namespace shared, id text, workflow shared, version number, value digest, shape digest, salt id16, "
    "build shared, trace trace, parent parent")
RUN_STATE_ON = (
    "deadline distance?, next_event number, without_turn numbers, waiting waiting, dropped waiting, signals number, "
    "blocked blocked, cancelling bool, undoing end?, undos undos")


def tables_of(b):
    if b.uint(1) != 2:
        raise Broken("tables of another version")
    next_run = b.leb()
    texts = [decoded(b.take(b.leb())) for _ in range(b.leb())]
    runs = []
    for _ in range(b.leb()):
        body = Bytes(b.take(b.leb()))
        run = fields(RUN_STATE)(body, 0, texts)
        run["started"] = signed(body)
        runs.append(run | fields(RUN_STATE_ON)(body, run["started"], texts))
        if body.left():
            raise Broken("bytes follow the state of a run")
    if b.left():
        raise Broken("bytes follow the tables")
    return {"next_run": next_run, "runs": runs}


def filter_layers(b):
    counts = [b.uint(8) for _ in range(b.uint(1))]
    layers = [b.take(1024 * 2**level * (32 + level) // 8) for level in range(len(counts))]
    if b.left():
        raise Broken("bytes follow the filter")
    return layers


def layer_holds(level, words, hashed):
    low, high, bits = *struct.unpack("<QQ", hashed), len(words) * 8
    for _ in range((32 + level) * 693 // 1000):
        place, low = low * bits >> 64, low * 6364136223846793005 + (high | 1) & U64
        if not words[place // 8] >> place % 8 & 1:
            return False
    return True


def siphash128(key, message):  # (11): SipHash-2-4 with 128 bits of result
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D ^ 0xEE, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def turn(x, by):
        return (x << by | x >> 64 - by) & U64

    def rounds(count):
        a, b, c, d = v
        for _ in range(count):
            a, c = a + b & U64, c + d & U64
            b, d, a = turn(b, 13) ^ a, turn(d, 16) ^ c, turn(a, 32)
            c, a = c + b & U64, a + d & U64
            b, d, c = turn(b, 17) ^ c, turn(d, 21) ^ a, turn(c, 32)
        v[:] = a, b, c, d

    padded = message + b"\0" * (7 - len(message) % 8) + bytes([len(message) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xEE
    rounds(4)
    low = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    rounds(4)
    return struct.pack("<QQ", low, v[0] ^ v[1] ^ v[2] ^ v[3])


def read(directory):
    """What one directory holds."""
    try:
        said = (directory / "FORMAT").read_bytes()
    except OSError:
        return {"verdict": "not-a-store"}
    numbers = re.match(rb"durable\nformat (\d+)\nrevision (\d+)\n", said)
    if numbers and tuple(map(int, numbers.groups())) != (0, 3):
        return {"verdict": "newer-format"}
    whole = re.fullmatch(rb"durable\nformat 0\nrevision 3\nstore ([0-9a-f]{32})\n", said)
    if not whole:
        return {"verdict": "not-a-store"}
    identity = bytes.fromhex(whole[1].decode())
    log = Log(identity, directory)
    for _ in range(2):  # another process may have rolled meanwhile: list again before speaking of rot (5)
        if log.rot:
            log = Log(identity, directory)
    store = Store(identity, log)
    found = log.rot[0] if log.rot else store.undecodable or {}
    verdict = "rot" if log.rot else "undecodable" if found else "ok"
    return {"verdict": verdict, **found, "rot": log.rot, "store": identity.hex(),
            "last_lsn": log.trusted[-1].lsn if log.trusted else 0, "clean": store.last_event in ("Closed", NO_EVENT),
            "own": store.own, "checkpoints": store.checkpoints, "runs": [store.runs[run].shown() for run in sorted(store.runs)]}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(json.dumps(read(pathlib.Path(argument))))
