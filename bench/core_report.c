/* SPDX-License-Identifier: MIT */
/*
 * Results of unetfs-core-bench: a line of the table as soon as it is known, and
 * all of them as JSON at the end.
 *
 * Not locked: one thread reports.
 */
#include <stdio.h>
#include <string.h>
#include "core_bench.h"

#define RESULTS_MAX 128

struct result {
	const char *group;
	char name[64];
	const char *unit;
	double value;
	enum bench_sense sense;
	double budget;
};

static struct result results[RESULTS_MAX];
static unsigned count;
static const char *group = "";

void bench_group(const char *title)
{
	group = title;
	printf("\n%-48s %13s %16s\n", title, "measured", "budget");
}

static bool missed(const struct result *result)
{
	if (result->sense == BENCH_PLAIN)
		return false;
	return result->sense == BENCH_AT_MOST ? result->value > result->budget
					      : result->value < result->budget;
}

static int digits(double value)
{
	return value < 10 ? 2 : value < 100 ? 1 : 0;
}

void bench_budget(const char *name, const char *unit, double value, enum bench_sense sense,
		  double budget)
{
	struct result *result = &results[count];

	if (count == RESULTS_MAX)
		return;
	count++;
	*result = (struct result){
		.group = group, .unit = unit, .value = value, .sense = sense, .budget = budget};
	snprintf(result->name, sizeof(result->name), "%s", name);
	printf("%-48s %8.*f %-5s", result->name, digits(value), value, unit);
	if (sense != BENCH_PLAIN)
		printf(" %s %6.*f %-5s %s", sense == BENCH_AT_MOST ? "<=" : ">=", digits(budget),
		       budget, unit, missed(result) ? "missed" : "");
	puts("");
	fflush(stdout);
}

void bench_result(const char *name, const char *unit, double value)
{
	bench_budget(name, unit, value, BENCH_PLAIN, 0);
}

static void print_json(FILE *out)
{
	fputs("[\n", out);
	for (unsigned i = 0; i < count; i++) {
		const struct result *result = &results[i];

		fprintf(out,
			"  {\"group\": \"%s\", \"name\": \"%s\", \"unit\": \"%s\", \"value\": %.4g",
			result->group, result->name, result->unit, result->value);
		if (result->sense != BENCH_PLAIN)
			fprintf(out, ", \"budget\": \"%s %g\", \"kept\": %s",
				result->sense == BENCH_AT_MOST ? "<=" : ">=", result->budget,
				missed(result) ? "false" : "true");
		fprintf(out, "}%s\n", i + 1 < count ? "," : "");
	}
	fputs("]\n", out);
}

bool bench_json(const char *path)
{
	FILE *out = path ? fopen(path, "w") : stdout;

	if (!out) {
		perror(path);
		return false;
	}
	if (!path)
		puts("");
	print_json(out);
	return path ? fclose(out) == 0 : fflush(out) == 0;
}
