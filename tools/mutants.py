# SPDX-License-Identifier: MIT
"""The bugs that tools/mutate plants: each imitates one that a system like ours once had.

A mutant is one exact replacement in one file.  Its text must occur there exactly once; tools/mutate
says so loudly where it does not, and then the text here has to follow the source.  The letters are
chapters of such bugs: A cached data and known zeroes, B reads and short replies, C write-back and
errors, D write-through and direct I/O, E operations on ranges, G handles, names and locks.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    name: str
    kind: str  # chapter
    story: str  # what the imitated bug did
    path: str
    old: str
    new: str
    by: str = ""  # the suite that noticed it last: NOTICED


CORE, VFS, P9 = "src/core/", "src/vfs/", "src/backend/p9/"

# Which suite noticed it last; tools/mutate runs that first, and says where that changed.
NOTICED = {
    "credit-lost": "unit p9-diod",
    "cut-stays-dirty": "unit core-edge-folio",
    "cut-wrong-half": "unit core-edge-folio",
    "dead-handle-used": "unit core-errors",
    "direct-sum": "unit core-engine",
    "dirty-evicted": "unit core-engine",
    "early-answer-lost": "unit core-edge-order",
    "dsync-error-hidden": "unit core-write-through",
    "error-not-told": "unit vfs-files",
    "fill-over-write": "unit core-edge-late",
    "frozen-still-zero": "unit core-group",
    "gap-glued": "unit core-engine",
    "gone-holds-up": "unit core-group",
    "only-eagain-heals": "sim",
    "out-of-order": "unit core-edge-folio",
    "page-twice-in-flight": "unit core-edge-late",
    "partly-taken": "unit core-edge-order",
    "refused-is-clean": "unit core-edge-order",
    "reply-count-trusted": "sim",
    "retry-from-start": "unit core-edge-order",
    "seek-before-flush": "unit vfs-ranges",
    "sent-memory-changed": "unit core-edge-folio",
    "short-is-end": "sim",
    "short-is-full": "unit core-edge-folio",
    "stale-download": "unit core-edge-late",
    "starved-for-ever": "unit p9-diod",
    "tail-kept": "unit core-edge-folio",
    "tail-not-zeroed": "unit core-edge-io",
    "truncate-crossed": "unit core-engine",
    "zero-after-upload": "unit core-edge-folio",
    "zero-below-size": "unit core-edge-late",
    "zero-while-direct": "unit core-edge-late",
}

MUTANTS = [Mutant(*entry, NOTICED.get(entry[0], "")) for entry in (
    # ------------------------------------------------ A: folios, known zeroes
    ("cut-wrong-half", "A1", "a cut through a partly written folio drops the half to keep",
     CORE + "resize.c",
     "less = netfs_folio_forget(folio, start > folio->start ? start : folio->start,",
     "less = netfs_folio_forget(folio, folio->start,"),
    ("cut-stays-dirty", "A3", "a folio whose changes were all cut off stays dirty",
     CORE + "folio.c",
     "\tif (netfs_ranges_remove(&folio->dirty, from, to))\n\t\treturn 0;\n", ""),
    ("fill-over-write", "A4", "a download under way overwrites what was written meanwhile",
     CORE + "write.c", "\tnetfs_ranges_remove(&folio->pending, from, to);\n", ""),
    ("zero-after-upload", "A5", "uploaded bytes are still taken for zeroes of the server",
     CORE + "writeback.c",
     "\tnetfs_inode_not_zero(inode, range.from, range.to);\n", ""),
    ("frozen-still-zero", "A5", "bytes of an older group are still taken for zeroes of the server",
     CORE + "group.c", "\t\tnetfs_inode_not_zero(inode, range.from, range.to);\n", ""),
    ("gone-holds-up", "C44", "an error of a file that is gone is told to writers of another",
     CORE + "write_collect.c", "if (err != -ESTALE && netfs_groups_wait(core)) {",
     "if (netfs_groups_wait(core)) {"),
    ("zero-while-direct", "A7", "a size from the middle of a direct write says what is zero",
     CORE + "direct.c", "\t\tnetfs_inode_not_zero(inode, io->start, state->end);\n", ""),
    ("zero-below-size", "A7", "a file that grew at the server is still zero above its old end",
     CORE + "resize.c", "\t\tnetfs_inode_not_zero(inode, 0, size);\n", ""),
    ("tail-kept", "A9", "bytes behind the new end in the last page come back when the file grows",
     CORE + "resize.c",
     "\tif (size < inode->size)\n\t\tforget(inode, size, UINT64_MAX);",
     "\tif (size < inode->size)\n\t\tforget(inode, (size + 4095) & ~UINT64_C(4095), UINT64_MAX);"),
    ("dirty-evicted", "A11", "memory pressure takes a folio with unsent data",
     CORE + "folio.c",
     "folio->refs == 1 && netfs_ranges_empty(&folio->dirty) && folio->writeback == 0",
     "folio->refs == 1 && folio->writeback == 0"),
    ("page-twice-in-flight", "A17", "a folio under upload is sent again; replies may swap",
     CORE + "writeback.c",
     "if (netfs_ranges_empty(&folio->dirty) || folio->writeback || folio->frozen",
     "if (netfs_ranges_empty(&folio->dirty) || folio->frozen"),
    ("gap-glued", "A18", "two dirty pieces with a gap between them are sent as one",
     CORE + "issue.c", "++seg < last && netfs_seg_from(seg, nr) == end;)",
     "++seg < last && netfs_seg_from(seg, nr) >= end;)"),

    # ------------------------------------------------ B: reads, short replies
    ("retry-from-start", "B20", "the rest of a short reply goes to the wrong place",
     CORE + "issue.c", "uint64_t pos = sub->start + sub->transferred;",
     "uint64_t pos = sub->start;"),
    ("out-of-order", "B21", "a part that ended early is settled before those in front of it",
     CORE + "collect.c", "if (sub->state != NETFS_SUB_DONE)\n\t\t\tbreak;",
     "if (sub->state != NETFS_SUB_DONE)\n\t\t\tcontinue;"),
    ("credit-lost", "B24", "a finished slice does not give its place in the window back",
     P9 + "p9_call.c",
     "\t\tatomic_fetch_sub_explicit(&conn->slices, 1, memory_order_relaxed);\n"
     "\t\tready = conn->starved;",
     "\t\tready = conn->starved;"),
    ("starved-for-ever", "B24", "who was refused for want of credits is not called again",
     P9 + "p9_call.c", "ready = conn->starved;", "ready = false;"),
    ("tail-not-zeroed", "B26", "the memory behind a short read keeps what was in it",
     CORE + "collect.c",
     "\t\tmemset((uint8_t *)piece->iov_base + skip, 0, piece->iov_len - skip);\n", ""),
    ("short-is-end", "B27", "a short reply is taken for the end of the file",
     P9 + "p9_io.c", "if (!call->err && count == 0 && is_read)",
     "if (!call->err && count < slice->len && is_read)"),
    ("direct-sum", "B28", "slices behind a failed one count as read or written",
     CORE + "direct.c", "if (state->pos == sub->start)\n", "if (true)\n"),
    ("reply-count-trusted", "B30", "a reply may claim more bytes than were sent",
     P9 + "p9_recv.c", "(msg->type == P9_RWRITE && msg->rwrite.count > req->count)", "false"),
    ("short-is-full", "B31", "a short reply is accepted as full",
     CORE + "collect.c", "sub->transferred += sub->moved;", "sub->transferred += sub->asked;"),
    ("stale-download", "B33", "a download for a folio that was emptied meanwhile is believed",
     CORE + "read_collect.c", "if (a >= b || seg->gen != seg->folio->gen)", "if (a >= b)"),

    # ------------------------------------------------ C: write-back, errors
    ("early-answer-lost", "C38", "an answer from inside the sending call is lost",
     CORE + "issue.c",
     "if (sub->state == NETFS_SUB_EARLY) {", "if (false) {"),
    ("partly-taken", "C39", "a write the server took in part counts as taken whole",
     CORE + "write_collect.c", "uint64_t b = seg->to < to ? seg->to : to;",
     "uint64_t b = seg->to;"),
    ("only-eagain-heals", "C42", "an error that would have healed is final for the handle",
     P9 + "p9_handle.c", "\tcase -EIO:\n\tcase -EAGAIN:\n", "\tcase -EAGAIN:\n"),
    ("error-not-told", "C44", "fsync is silent about an earlier failure of write-back",
     VFS + "close.c", "v->first_err = err ? err : late;", "v->first_err = err;"),
    ("refused-is-clean", "C45", "data the server refused is marked clean and lost",
     CORE + "write_collect.c", "else if (outcome == RETURNED)", "else if (false)"),
    ("sent-memory-changed", "C46", "a write changes memory that is just being sent",
     CORE + "folio.c", "if (netfs_block_alone(folio->block))\n\t\treturn 0;",
     "if (true)\n\t\treturn 0;"),
    ("truncate-crossed", "C48", "uploads go on while the file is being truncated",
     CORE + "writeback.c", "if (blocked(inode) || (inode->stuck", "if ((inode->stuck"),
    ("append-misplaced", "C50", "an append goes where the caller's position was",
     CORE + "write.c", "\t\tio->start = inode->size;\n", "\t\tio->start += 0;\n"),
    ("size-goes-back", "C53", "a write in the middle makes the file shorter",
     CORE + "write.c", "\tif (pos > inode->size)\n\t\tinode->size = pos;",
     "\tinode->size = pos;"),
    ("close-does-not-wait", "C54", "close returns while data is still on its way",
     VFS + "close.c", "else if (!v->mount->config.close_writes)", "else if (true)"),
    ("flush-forgets-upload", "C54", "a flush does not wait for uploads that already run",
     CORE + "flush.c", "if (!done->err && inode->uploading)", "if (false)"),
    ("flush-takes-older", "C17", "a flush is content with an older upload of the same bytes",
     CORE + "write_collect.c", "if (req->seq >= done->seq) {", "if (true) {"),
    ("fsync-not-asked", "C81", "fsync does not ask the server to make data durable",
     VFS + "close.c",
     "if (err || (v->mount->be->caps & NETFS_BE_STABLE_WRITES) || v->mount->config.read_only) {",
     "if (err || true) {"),

    # ------------------------------------------------ D: write-through, direct
    ("direct-size", "D57", "an extending direct write does not move the size",
     CORE + "direct.c", "if (state->pos > inode->size)", "if (false)"),
    ("dsync-error-hidden", "D59", "a failed synchronous write returns success",
     CORE + "write.c", "ssize_t result = err ? err : durable->result;",
     "ssize_t result = durable->result;"),
    ("dsync-ignored", "D59", "O_DSYNC is forgotten at open",
     VFS + "open.c", "if (mount->config.sync || (flags & O_DSYNC))", "if (mount->config.sync)"),
    ("direct-before-flush", "D62", "direct I/O does not send what is dirty in its range",
     CORE + "direct.c", "if (inode->dirty == 0 && inode->uploading == 0) {", "if (true) {"),
    ("direct-keeps-cache", "D62", "a direct write leaves older cached bytes in place",
     CORE + "direct.c", "\tnetfs_inode_forget_flushed(inode, state->pos, state->end);\n", ""),
    ("tag-too-early", "D63", "the tag of a cancelled request is used again before its reply",
     P9 + "p9_req.c", "if (conn->tags[req->tag].flushing)\n\t\tconn->tags[req->tag].req = NULL;",
     "if (false)\n\t\tconn->tags[req->tag].req = NULL;"),

    # ------------------------------------------------ E: ranges
    ("punch-before-flush", "E64", "a hole is punched before the dirty data arrived",
     VFS + "ranges.c", "netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, netfs_take(v->then));",
     "netfs_take(v->then)(v, 0);"),
    ("punched-still-cached", "E66", "the old bytes of a changed range stay in memory",
     VFS + "ranges.c", "\tnetfs_inode_discard(&vnode->inode, start, end);\n", ""),
    ("copy-unsent-source", "E66", "the server copies what it has, not what was written",
     VFS + "ranges.c",
     "netfs_vcall_flush(v, v->target, v->start, UINT64_MAX, copy_source_flushed);",
     "copy_source_flushed(v, 0);"),
    ("seek-before-flush", "E69", "unsent data is reported as a hole",
     VFS + "ranges.c", "netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, seek_flushed);",
     "seek_flushed(v, 0);"),

    # ------------------------------------------------ G: handles, names, locks
    ("replace-before-flush", "G94", "a file is renamed over another before its data arrived",
     VFS + "rename.c", "netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, rename_flushed);",
     "rename_flushed(v, 0);"),
    ("unlinked-while-open", "G94", "unlinking takes the file from those who have it open",
     VFS + "remove.c", "needed = !netfs_list_empty(&target->files);", "needed = false;"),
    ("no-revalidation", "G97", "an open believes the attributes it has",
     VFS + "open.c", "(!v->mount->config.revalidate && netfs_attr_fresh(v->vnode))",
     "netfs_attr_fresh(v->vnode)"),
    ("dead-handle-used", "G102", "data is sent through a handle that lost its lock, for ever",
     CORE + "inode.c", "if (!atomic_load(&handle->dead))", "if (true)"),
    ("unlocked-relocked", "G102", "a lock that is being given up is set again and counts as lost",
     P9 + "p9_lock.c", "if (lock->type == NETFS_LOCK_UNLOCK && lock->start < lock->end)",
     "if (false)"),
    ("size-raced", "B27", "a stat tells the size from before it, because a write crossed it",
     VFS + "getattr.c", "\t\tv->call->attr.size = v->ask.op.attr.size;\n", "\t\t;\n"),
    ("lost-lock-kept", "G102", "a lock that somebody else took meanwhile is still ours",
     P9 + "p9_handle.c", "call->reply->rlock.status != P9_LOCK_SUCCESS", "false"),
    ("lock-not-reclaimed", "G102", "locks are not set again at a server that came back",
     P9 + "p9_handle.c", "more = call->cookie < handle->nheld;", "more = false;"),
)]
