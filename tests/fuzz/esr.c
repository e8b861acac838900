/* esr.c: exception syndromes, instructions and PSTATE in words, into buffers of every size. */
#include "fuzz.h"

#include <vibevmm/bytes.h>

#include "../../src/hv/arm64_esr.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	char buf[256] = "";
	struct text text = { buf, 0, 0 };

	if (size < 21)
		return;
	text.len = 1U + data[20] % (sizeof(buf) - 1);
	arm64_esr_put(&text, bytes_get64(data));
	arm64_pstate_put(&text, bytes_get64(data + 8));
	must(strlen(buf) == text.used && text.used < text.len);
	must(text.used || text.len == 1);
	arm64_esr_no_syndrome(bytes_get32(data + 16));
}
