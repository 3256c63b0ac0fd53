// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer of the bus, guest side.
 *
 *	fuzzer setup				prepares the machine
 *	fuzzer run --seed S --first I [...]	makes and runs programs
 *	fuzzer replay [--times N] FILE		runs the programs of a file
 *	fuzzer generate --seed S --first I	writes program I to stdout or --new FILE
 *	fuzzer show FILE			prints programs in words
 */
#include "generate.h"
#include "session.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct program program;

static int generate(const struct batch *batch)
{
	static uint8_t bytes[256 << 10];
	struct corpus corpus = corpus_load(batch->corpus);
	FILE *out = batch->fresh ? fopen(batch->fresh, "w") : stdout;

	if (!out)
		return 3;
	for (uint64_t i = 0; i < batch->count; i++) {
		size_t size;

		program_generate(&program, batch->seed, batch->first + i, &corpus);
		size = program_write(&program, bytes, sizeof(bytes));
		if (size > sizeof(bytes) || fwrite(bytes, 1, size, out) != size)
			return 3;
	}
	return fclose(out) ? 3 : 0;
}

static int show(const char *file)
{
	struct corpus corpus = corpus_load(file);

	for (size_t i = 0; i < corpus.count; i++) {
		program_read(&program, corpus.bytes + corpus.start[i], corpus.total - corpus.start[i]);
		program_show(&program);
	}
	return corpus.count ? 0 : 2;
}

int main(int argc, char **argv)
{
	enum { SEED, FIRST, COUNT, MS, LIMIT, CORPUS, SEEN, NEW, GUIDED, VERBOSE, TIMES };
	static const struct option options[] = {
		[SEED] = { "seed", required_argument, NULL, SEED },
		[FIRST] = { "first", required_argument, NULL, FIRST },
		[COUNT] = { "count", required_argument, NULL, COUNT },
		[MS] = { "ms", required_argument, NULL, MS },
		[LIMIT] = { "limit", required_argument, NULL, LIMIT },
		[CORPUS] = { "corpus", required_argument, NULL, CORPUS },
		[SEEN] = { "seen", required_argument, NULL, SEEN },
		[NEW] = { "new", required_argument, NULL, NEW },
		[GUIDED] = { "guided", no_argument, NULL, GUIDED },
		[VERBOSE] = { "verbose", no_argument, NULL, VERBOSE },
		[TIMES] = { "times", required_argument, NULL, TIMES },
		{ 0 },
	};
	struct batch batch = { .count = 1, .milliseconds = 86400000, .limit_ms = 1000, .times = 1 };
	const char *mode = argc > 1 ? argv[1] : "";
	const char *file;
	int option;

	optind = 2;
	while (argc > 1 && (option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		unsigned long long number = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (option) {
		case SEED:
			batch.seed = number;
			break;
		case FIRST:
			batch.first = number;
			break;
		case COUNT:
			batch.count = number;
			break;
		case MS:
			batch.milliseconds = (long)number;
			break;
		case LIMIT:
			batch.limit_ms = (long)number;
			break;
		case CORPUS:
			batch.corpus = optarg;
			break;
		case SEEN:
			batch.seen = optarg;
			break;
		case NEW:
			batch.fresh = optarg;
			break;
		case GUIDED:
			batch.guided = true;
			break;
		case VERBOSE:
			batch.verbose = true;
			break;
		case TIMES:
			batch.times = (unsigned int)number;
			break;
		default:
			return 2;
		}
	}
	file = optind < argc ? argv[optind] : NULL;
	if (strcmp(mode, "setup") == 0)
		return batch_setup();
	if (strcmp(mode, "run") == 0)
		return batch_run(&batch);
	if (strcmp(mode, "generate") == 0)
		return generate(&batch);
	if (file && strcmp(mode, "replay") == 0)
		return batch_replay(&batch, file);
	if (file && strcmp(mode, "show") == 0)
		return show(file);
	fprintf(stderr, "fuzzer: setup, run, generate, replay FILE or show FILE; not \"%s\"\n", mode);
	return 2;
}
