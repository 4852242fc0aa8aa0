# SPDX-License-Identifier: MIT
#
# Writes a C program of N parts with its Makefile into this folder; it prints
# the sum of 0 to N-1.
#
#	program.sh N
set -eu
n=$1
printf 'CC = gcc\nprog: main.o %s\n\t$(CC) -o $@ $^\n' \
	"$(seq -f 'part%g.o' 0 $((n - 1)) | tr '\n' ' ')" >Makefile
printf '%%.o: %%.c parts.h\n\t$(CC) -O1 -c -o $@ $<\n' >>Makefile
: >parts.h
for i in $(seq 0 $((n - 1))); do
	echo "int part$i(void);" >>parts.h
	printf '#include <stdio.h>\n#include <stdlib.h>\n#include "parts.h"\n' >"part$i.c"
	printf 'int part%s(void)\n{\n\treturn %s;\n}\n' "$i" "$i" >>"part$i.c"
done
{
	printf '#include <stdio.h>\n#include "parts.h"\nint main(void)\n{\n\tint sum = 0;\n'
	seq -f '	sum += part%g();' 0 $((n - 1))
	printf '\tprintf("%%d\\n", sum);\n\treturn 0;\n}\n'
} >main.c
