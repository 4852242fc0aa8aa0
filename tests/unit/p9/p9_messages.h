/* SPDX-License-Identifier: MIT */
/*
 * One message of each type: the structure, its bytes in hexadecimal as the
 * protocol's description lays them out, and the line the printer makes of it.
 * Also the seeds of the fuzzer.
 */
#ifndef TESTS_P9_MESSAGES_H
#define TESTS_P9_MESSAGES_H

#include <backend/p9/p9_msg.h>

#define S(text)                                                                                    \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* clang-format off */
static const struct {
	struct p9_msg msg;
	const char *hex;
	const char *line;
} p9_messages[] = {
	{{.type = P9_RLERROR, .tag = 1, .rlerror = {2}},
	 "0b00000007010002000000",
	 "Rlerror tag 1 ecode 2"},
	{{.type = P9_TSTATFS, .tag = 1, .tstatfs = {3}},
	 "0b00000008010003000000",
	 "Tstatfs tag 1 fid 3"},
	{{.type = P9_RSTATFS, .tag = 1, .rstatfs = {1, 2, 3, 4, 5, 6, 7, 8, 9}},
	 "430000000901000100000002000000030000000000000004000000000000000500000000"
	 "00000006000000000000000700000000000000080000000000000009000000",
	 "Rstatfs tag 1 type 1 bsize 2 blocks 3 bfree 4 bavail 5 files 6 ffree 7 f"
	 "sid 8 namelen 9"},
	{{.type = P9_TLOPEN, .tag = 1, .tlopen = {3, 0x8002}},
	 "0f0000000c01000300000002800000",
	 "Tlopen tag 1 fid 3 flags 0x8002"},
	{{.type = P9_RLOPEN, .tag = 1, .rlopen = {{0x80, 5, 99}, 4096}},
	 "180000000d01008005000000630000000000000000100000",
	 "Rlopen tag 1 qid (80 5 99) iounit 4096"},
	{{.type = P9_TLCREATE, .tag = 1, .tlcreate = {3, S("f"), 0x42, 0640, 7}},
	 "1a0000000e01000300000001006642000000a001000007000000",
	 "Tlcreate tag 1 fid 3 name 'f' flags 0x42 mode 0640 gid 7"},
	{{.type = P9_RLCREATE, .tag = 1, .rlcreate = {{0x80, 5, 99}, 0}},
	 "180000000f01008005000000630000000000000000000000",
	 "Rlcreate tag 1 qid (80 5 99) iounit 0"},
	{{.type = P9_TSYMLINK, .tag = 1, .tsymlink = {3, S("l"), S("a/b"), 7}},
	 "170000001001000300000001006c0300612f6207000000",
	 "Tsymlink tag 1 dfid 3 name 'l' target 'a/b' gid 7"},
	{{.type = P9_RSYMLINK, .tag = 1, .rsymlink = {{0x80, 5, 99}}},
	 "1400000011010080050000006300000000000000",
	 "Rsymlink tag 1 qid (80 5 99)"},
	{{.type = P9_TMKNOD, .tag = 1, .tmknod = {3, S("n"), 010600, 8, 9, 7}},
	 "1e0000001201000300000001006e80110000080000000900000007000000",
	 "Tmknod tag 1 dfid 3 name 'n' mode 010600 major 8 minor 9 gid 7"},
	{{.type = P9_RMKNOD, .tag = 1, .rmknod = {{0x80, 5, 99}}},
	 "1400000013010080050000006300000000000000",
	 "Rmknod tag 1 qid (80 5 99)"},
	{{.type = P9_TRENAME, .tag = 1, .trename = {3, 4, S("x")}},
	 "120000001401000300000004000000010078",
	 "Trename tag 1 fid 3 dfid 4 name 'x'"},
	{{.type = P9_RRENAME, .tag = 1},
	 "07000000150100",
	 "Rrename tag 1"},
	{{.type = P9_TREADLINK, .tag = 1, .treadlink = {3}},
	 "0b00000016010003000000",
	 "Treadlink tag 1 fid 3"},
	{{.type = P9_RREADLINK, .tag = 1, .rreadlink = {S("to")}},
	 "0b0000001701000200746f",
	 "Rreadlink tag 1 target 'to'"},
	{{.type = P9_TGETATTR, .tag = 1, .tgetattr = {3, 0x7ff}},
	 "1300000018010003000000ff07000000000000",
	 "Tgetattr tag 1 fid 3 mask 0x7ff"},
	{{.type = P9_RGETATTR, .tag = 1, .rgetattr =
	  {0x3fff, {0x80, 5, 99}, 0100644, 1, 2, 10, 11,
	   12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}},
	 "a0000000190100ff3f00000000000080050000006300000000000000a481000001000000"
	 "020000000a000000000000000b000000000000000c000000000000000d00000000000000"
	 "0e000000000000000f000000000000001000000000000000110000000000000012000000"
	 "000000001300000000000000140000000000000015000000000000001600000000000000"
	 "17000000000000001800000000000000",
	 "Rgetattr tag 1 valid 0x3fff qid (80 5 99) mode 0100644 uid 1 gid 2 nlink"
	 " 10 rdev 11 size 12 blksize 13 blocks 14 atime_sec 15 atime_nsec 16 mtim"
	 "e_sec 17 mtime_nsec 18 ctime_sec 19 ctime_nsec 20 btime_sec 21 btime_nse"
	 "c 22 gen 23 data_version 24"},
	{{.type = P9_TSETATTR, .tag = 1, .tsetattr = {3, 9, 0600, 1, 2, 4, 5, 6, 7, 8}},
	 "430000001a01000300000009000000800100000100000002000000040000000000000005"
	 "00000000000000060000000000000007000000000000000800000000000000",
	 "Tsetattr tag 1 fid 3 valid 0x9 mode 0600 uid 1 gid 2 size 4 atime_sec 5 "
	 "atime_nsec 6 mtime_sec 7 mtime_nsec 8"},
	{{.type = P9_RSETATTR, .tag = 1},
	 "070000001b0100",
	 "Rsetattr tag 1"},
	{{.type = P9_TXATTRWALK, .tag = 1, .txattrwalk = {3, 4, S("user.a")}},
	 "170000001e010003000000040000000600757365722e61",
	 "Txattrwalk tag 1 fid 3 newfid 4 name 'user.a'"},
	{{.type = P9_RXATTRWALK, .tag = 1, .rxattrwalk = {77}},
	 "0f0000001f01004d00000000000000",
	 "Rxattrwalk tag 1 size 77"},
	{{.type = P9_TXATTRCREATE, .tag = 1, .txattrcreate = {3, S("user.a"), 77, 1}},
	 "1f000000200100030000000600757365722e614d0000000000000001000000",
	 "Txattrcreate tag 1 fid 3 name 'user.a' size 77 flags 0x1"},
	{{.type = P9_RXATTRCREATE, .tag = 1},
	 "07000000210100",
	 "Rxattrcreate tag 1"},
	{{.type = P9_TREADDIR, .tag = 1, .treaddir = {3, 70, 80}},
	 "1700000028010003000000460000000000000050000000",
	 "Treaddir tag 1 fid 3 offset 70 count 80"},
	{{.type = P9_RREADDIR, .tag = 1, .rreaddir = {{3, "abc"}}},
	 "0e00000029010003000000616263",
	 "Rreaddir tag 1 data 3"},
	{{.type = P9_TFSYNC, .tag = 1, .tfsync = {3, 1}},
	 "0f0000003201000300000001000000",
	 "Tfsync tag 1 fid 3 datasync 1"},
	{{.type = P9_RFSYNC, .tag = 1},
	 "07000000330100",
	 "Rfsync tag 1"},
	{{.type = P9_TLOCK, .tag = 1, .tlock = {3, 1, 2, 5, 6, 7, S("me")}},
	 "280000003401000300000001020000000500000000000000060000000000000007000000"
	 "02006d65",
	 "Tlock tag 1 fid 3 type 1 flags 0x2 start 5 length 6 proc_id 7 client_id "
	 "'me'"},
	{{.type = P9_RLOCK, .tag = 1, .rlock = {1}},
	 "0800000035010001",
	 "Rlock tag 1 status 1"},
	{{.type = P9_TGETLOCK, .tag = 1, .tgetlock = {3, 1, 5, 6, 7, S("me")}},
	 "240000003601000300000001050000000000000006000000000000000700000002006d65",
	 "Tgetlock tag 1 fid 3 type 1 start 5 length 6 proc_id 7 client_id 'me'"},
	{{.type = P9_RGETLOCK, .tag = 1, .rgetlock = {2, 5, 6, 7, S("you")}},
	 "210000003701000205000000000000000600000000000000070000000300796f75",
	 "Rgetlock tag 1 type 2 start 5 length 6 proc_id 7 client_id 'you'"},
	{{.type = P9_TLINK, .tag = 1, .tlink = {3, 4, S("h")}},
	 "120000004601000300000004000000010068",
	 "Tlink tag 1 dfid 3 fid 4 name 'h'"},
	{{.type = P9_RLINK, .tag = 1},
	 "07000000470100",
	 "Rlink tag 1"},
	{{.type = P9_TMKDIR, .tag = 1, .tmkdir = {3, S("d"), 0755, 7}},
	 "1600000048010003000000010064ed01000007000000",
	 "Tmkdir tag 1 dfid 3 name 'd' mode 0755 gid 7"},
	{{.type = P9_RMKDIR, .tag = 1, .rmkdir = {{0x80, 5, 99}}},
	 "1400000049010080050000006300000000000000",
	 "Rmkdir tag 1 qid (80 5 99)"},
	{{.type = P9_TRENAMEAT, .tag = 1, .trenameat = {3, S("a"), 4, S("b")}},
	 "150000004a01000300000001006104000000010062",
	 "Trenameat tag 1 olddirfid 3 oldname 'a' newdirfid 4 newname 'b'"},
	{{.type = P9_RRENAMEAT, .tag = 1},
	 "070000004b0100",
	 "Rrenameat tag 1"},
	{{.type = P9_TUNLINKAT, .tag = 1, .tunlinkat = {3, S("a"), 0x200}},
	 "120000004c01000300000001006100020000",
	 "Tunlinkat tag 1 dirfid 3 name 'a' flags 0x200"},
	{{.type = P9_RUNLINKAT, .tag = 1},
	 "070000004d0100",
	 "Runlinkat tag 1"},
	{{.type = P9_TVERSION, .tag = 65535, .tversion = {65536, S("9P2000.L")}},
	 "1500000064ffff0000010008003950323030302e4c",
	 "Tversion tag 65535 msize 65536 version '9P2000.L'"},
	{{.type = P9_RVERSION, .tag = 65535, .rversion = {8192, S("unknown")}},
	 "1400000065ffff002000000700756e6b6e6f776e",
	 "Rversion tag 65535 msize 8192 version 'unknown'"},
	{{.type = P9_TAUTH, .tag = 1, .tauth = {3, S("u"), S("/x"), 1000}},
	 "160000006601000300000001007502002f78e8030000",
	 "Tauth tag 1 afid 3 uname 'u' aname '/x' n_uname 1000"},
	{{.type = P9_RAUTH, .tag = 1, .rauth = {{0x80, 5, 99}}},
	 "1400000067010080050000006300000000000000",
	 "Rauth tag 1 qid (80 5 99)"},
	{{.type = P9_TATTACH, .tag = 1, .tattach = {3, P9_NOFID, S("u"), S("/x"), 1000}},
	 "1a00000068010003000000ffffffff01007502002f78e8030000",
	 "Tattach tag 1 fid 3 afid 4294967295 uname 'u' aname '/x' n_uname 1000"},
	{{.type = P9_RATTACH, .tag = 1, .rattach = {{0x80, 5, 99}}},
	 "1400000069010080050000006300000000000000",
	 "Rattach tag 1 qid (80 5 99)"},
	{{.type = P9_TFLUSH, .tag = 1, .tflush = {513}},
	 "090000006c01000102",
	 "Tflush tag 1 oldtag 513"},
	{{.type = P9_RFLUSH, .tag = 1},
	 "070000006d0100",
	 "Rflush tag 1"},
	{{.type = P9_TWALK, .tag = 1, .twalk = {3, 4, {2, {S("a"), S("b'\n")}}}},
	 "190000006e010003000000040000000200010061030062270a",
	 "Twalk tag 1 fid 3 newfid 4 names 2 'a' 'b\\x27\\x0a'"},
	{{.type = P9_RWALK, .tag = 1, .rwalk = {{2, {{0x80, 5, 99}, {0x80, 5, 99}}}}},
	 "230000006f010002008005000000630000000000000080050000006300000000000000",
	 "Rwalk tag 1 qids 2 (80 5 99) (80 5 99)"},
	{{.type = P9_TREAD, .tag = 1, .tread = {3, 70, 80}},
	 "1700000074010003000000460000000000000050000000",
	 "Tread tag 1 fid 3 offset 70 count 80"},
	{{.type = P9_RREAD, .tag = 1, .rread = {{3, "abc"}}},
	 "0e00000075010003000000616263",
	 "Rread tag 1 data 3"},
	{{.type = P9_TWRITE, .tag = 1, .twrite = {3, 70, {3, "abc"}}},
	 "1a00000076010003000000460000000000000003000000616263",
	 "Twrite tag 1 fid 3 offset 70 data 3"},
	{{.type = P9_RWRITE, .tag = 1, .rwrite = {80}},
	 "0b00000077010050000000",
	 "Rwrite tag 1 count 80"},
	{{.type = P9_TCLUNK, .tag = 1, .tclunk = {3}},
	 "0b00000078010003000000",
	 "Tclunk tag 1 fid 3"},
	{{.type = P9_RCLUNK, .tag = 1},
	 "07000000790100",
	 "Rclunk tag 1"},
	{{.type = P9_TREMOVE, .tag = 1, .tremove = {3}},
	 "0b0000007a010003000000",
	 "Tremove tag 1 fid 3"},
	{{.type = P9_RREMOVE, .tag = 1},
	 "070000007b0100",
	 "Rremove tag 1"},
};
/* clang-format on */

#undef S
#define P9_MESSAGES (sizeof(p9_messages) / sizeof(p9_messages[0]))

#endif
