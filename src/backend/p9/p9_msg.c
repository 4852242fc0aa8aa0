/* SPDX-License-Identifier: MIT */
/*
 * The layout of every 9P2000.L message, one entry each, in groups: errors and
 * session, walking, files, attributes, names, data, locks.  Encoder, decoder
 * (p9_codec.c) and printer (p9_print.c) all read this one table, so the three
 * cannot disagree.  A field's kind is checked against its type when compiled.
 */
#include "p9_msg.h"

#define FIELD(k, m, ctype)                                                                         \
	{                                                                                          \
		.kind = (k),                                                                       \
		.offset = offsetof(struct p9_msg, m) +                                             \
			  0 * sizeof(char[__builtin_types_compatible_p(                            \
						  __typeof__(((struct p9_msg *)0)->m), ctype)      \
						  ? 1                                              \
						  : -1]),                                          \
		.name = #m                                                                         \
	}
#define U8(m)	 FIELD(P9_U8, m, uint8_t)
#define U16(m)	 FIELD(P9_U16, m, uint16_t)
#define U32(m)	 FIELD(P9_U32, m, uint32_t)
#define U64(m)	 FIELD(P9_U64, m, uint64_t)
#define STR(m)	 FIELD(P9_STR, m, struct p9_str)
#define QID(m)	 FIELD(P9_QID, m, struct p9_qid)
#define DATA(m)	 FIELD(P9_DATA, m, struct p9_data)
#define NAMES(m) FIELD(P9_NAMES, m, struct p9_names)
#define QIDS(m)	 FIELD(P9_QIDS, m, struct p9_qids)

/* clang-format off */
static const struct p9_layout layouts[P9_TYPE_COUNT] = {
	/* Errors and session. */
	[P9_RLERROR] = {"Rlerror", {U32(rlerror.ecode)}},
	[P9_TVERSION] = {"Tversion", {U32(tversion.msize), STR(tversion.version)}},
	[P9_RVERSION] = {"Rversion", {U32(rversion.msize), STR(rversion.version)}},
	[P9_TAUTH] = {"Tauth", {U32(tauth.afid), STR(tauth.uname), STR(tauth.aname),
				U32(tauth.n_uname)}},
	[P9_RAUTH] = {"Rauth", {QID(rauth.qid)}},
	[P9_TATTACH] = {"Tattach", {U32(tattach.fid), U32(tattach.afid), STR(tattach.uname),
				    STR(tattach.aname), U32(tattach.n_uname)}},
	[P9_RATTACH] = {"Rattach", {QID(rattach.qid)}},
	[P9_TFLUSH] = {"Tflush", {U16(tflush.oldtag)}},
	[P9_RFLUSH] = {"Rflush", {}},

	/* Fids. */
	[P9_TWALK] = {"Twalk", {U32(twalk.fid), U32(twalk.newfid), NAMES(twalk.names)}},
	[P9_RWALK] = {"Rwalk", {QIDS(rwalk.qids)}},
	[P9_TCLUNK] = {"Tclunk", {U32(tclunk.fid)}},
	[P9_RCLUNK] = {"Rclunk", {}},
	[P9_TREMOVE] = {"Tremove", {U32(tremove.fid)}},
	[P9_RREMOVE] = {"Rremove", {}},

	/* Open files and directories. */
	[P9_TLOPEN] = {"Tlopen", {U32(tlopen.fid), U32(tlopen.flags)}},
	[P9_RLOPEN] = {"Rlopen", {QID(rlopen.qid), U32(rlopen.iounit)}},
	[P9_TLCREATE] = {"Tlcreate", {U32(tlcreate.fid), STR(tlcreate.name), U32(tlcreate.flags),
				      U32(tlcreate.mode), U32(tlcreate.gid)}},
	[P9_RLCREATE] = {"Rlcreate", {QID(rlcreate.qid), U32(rlcreate.iounit)}},
	[P9_TREAD] = {"Tread", {U32(tread.fid), U64(tread.offset), U32(tread.count)}},
	[P9_RREAD] = {"Rread", {DATA(rread.data)}},
	[P9_TWRITE] = {"Twrite", {U32(twrite.fid), U64(twrite.offset), DATA(twrite.data)}},
	[P9_RWRITE] = {"Rwrite", {U32(rwrite.count)}},
	[P9_TFSYNC] = {"Tfsync", {U32(tfsync.fid), U32(tfsync.datasync)}},
	[P9_RFSYNC] = {"Rfsync", {}},
	[P9_TREADDIR] = {"Treaddir", {U32(treaddir.fid), U64(treaddir.offset),
				      U32(treaddir.count)}},
	[P9_RREADDIR] = {"Rreaddir", {DATA(rreaddir.data)}},

	/* Attributes. */
	[P9_TSTATFS] = {"Tstatfs", {U32(tstatfs.fid)}},
	[P9_RSTATFS] = {"Rstatfs", {U32(rstatfs.type), U32(rstatfs.bsize), U64(rstatfs.blocks),
				    U64(rstatfs.bfree), U64(rstatfs.bavail), U64(rstatfs.files),
				    U64(rstatfs.ffree), U64(rstatfs.fsid), U32(rstatfs.namelen)}},
	[P9_TGETATTR] = {"Tgetattr", {U32(tgetattr.fid), U64(tgetattr.mask)}},
	[P9_RGETATTR] = {"Rgetattr", {U64(rgetattr.valid), QID(rgetattr.qid), U32(rgetattr.mode),
				      U32(rgetattr.uid), U32(rgetattr.gid), U64(rgetattr.nlink),
				      U64(rgetattr.rdev), U64(rgetattr.size),
				      U64(rgetattr.blksize), U64(rgetattr.blocks),
				      U64(rgetattr.atime_sec), U64(rgetattr.atime_nsec),
				      U64(rgetattr.mtime_sec), U64(rgetattr.mtime_nsec),
				      U64(rgetattr.ctime_sec), U64(rgetattr.ctime_nsec),
				      U64(rgetattr.btime_sec), U64(rgetattr.btime_nsec),
				      U64(rgetattr.gen), U64(rgetattr.data_version)}},
	[P9_TSETATTR] = {"Tsetattr", {U32(tsetattr.fid), U32(tsetattr.valid), U32(tsetattr.mode),
				      U32(tsetattr.uid), U32(tsetattr.gid), U64(tsetattr.size),
				      U64(tsetattr.atime_sec), U64(tsetattr.atime_nsec),
				      U64(tsetattr.mtime_sec), U64(tsetattr.mtime_nsec)}},
	[P9_RSETATTR] = {"Rsetattr", {}},
	[P9_TXATTRWALK] = {"Txattrwalk", {U32(txattrwalk.fid), U32(txattrwalk.newfid),
					  STR(txattrwalk.name)}},
	[P9_RXATTRWALK] = {"Rxattrwalk", {U64(rxattrwalk.size)}},
	[P9_TXATTRCREATE] = {"Txattrcreate", {U32(txattrcreate.fid), STR(txattrcreate.name),
					      U64(txattrcreate.size), U32(txattrcreate.flags)}},
	[P9_RXATTRCREATE] = {"Rxattrcreate", {}},

	/* Names. */
	[P9_TREADLINK] = {"Treadlink", {U32(treadlink.fid)}},
	[P9_RREADLINK] = {"Rreadlink", {STR(rreadlink.target)}},
	[P9_TSYMLINK] = {"Tsymlink", {U32(tsymlink.dfid), STR(tsymlink.name),
				      STR(tsymlink.target), U32(tsymlink.gid)}},
	[P9_RSYMLINK] = {"Rsymlink", {QID(rsymlink.qid)}},
	[P9_TMKNOD] = {"Tmknod", {U32(tmknod.dfid), STR(tmknod.name), U32(tmknod.mode),
				  U32(tmknod.major), U32(tmknod.minor), U32(tmknod.gid)}},
	[P9_RMKNOD] = {"Rmknod", {QID(rmknod.qid)}},
	[P9_TMKDIR] = {"Tmkdir", {U32(tmkdir.dfid), STR(tmkdir.name), U32(tmkdir.mode),
				  U32(tmkdir.gid)}},
	[P9_RMKDIR] = {"Rmkdir", {QID(rmkdir.qid)}},
	[P9_TLINK] = {"Tlink", {U32(tlink.dfid), U32(tlink.fid), STR(tlink.name)}},
	[P9_RLINK] = {"Rlink", {}},
	[P9_TRENAME] = {"Trename", {U32(trename.fid), U32(trename.dfid), STR(trename.name)}},
	[P9_RRENAME] = {"Rrename", {}},
	[P9_TRENAMEAT] = {"Trenameat", {U32(trenameat.olddirfid), STR(trenameat.oldname),
					U32(trenameat.newdirfid), STR(trenameat.newname)}},
	[P9_RRENAMEAT] = {"Rrenameat", {}},
	[P9_TUNLINKAT] = {"Tunlinkat", {U32(tunlinkat.dirfid), STR(tunlinkat.name),
					U32(tunlinkat.flags)}},
	[P9_RUNLINKAT] = {"Runlinkat", {}},

	/* Locks. */
	[P9_TLOCK] = {"Tlock", {U32(tlock.fid), U8(tlock.type), U32(tlock.flags),
				U64(tlock.start), U64(tlock.length), U32(tlock.proc_id),
				STR(tlock.client_id)}},
	[P9_RLOCK] = {"Rlock", {U8(rlock.status)}},
	[P9_TGETLOCK] = {"Tgetlock", {U32(tgetlock.fid), U8(tgetlock.type), U64(tgetlock.start),
				      U64(tgetlock.length), U32(tgetlock.proc_id),
				      STR(tgetlock.client_id)}},
	[P9_RGETLOCK] = {"Rgetlock", {U8(rgetlock.type), U64(rgetlock.start),
				      U64(rgetlock.length), U32(rgetlock.proc_id),
				      STR(rgetlock.client_id)}},
};
/* clang-format on */

const struct p9_layout *p9_layout_of(uint8_t type)
{
	if (type >= P9_TYPE_COUNT || !layouts[type].name)
		return NULL;
	return &layouts[type];
}
