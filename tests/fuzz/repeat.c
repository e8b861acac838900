/* repeat.c: a short text, then another one again and again: what is worse than linear, or needs
 * memory without end, shows. The first byte is the length of what comes once. */
#include "vm.h"

/* Under the sanitizers the same takes many times longer. */
#ifdef FUZZ
#define TOTAL (1u << 16)
#else
#define TOTAL (1u << 20)
#endif

static void fuzz_one(const uint8_t *data, size_t size)
{
	size_t once, len;
	char *text;

	if (size < 2)
		return;
	once = data[0] < size - 1 ? data[0] : size - 2;
	data++;
	size--;
	text = malloc(TOTAL);
	must(text);
	memcpy(text, data, once);
	data += once;
	size -= once;
	for (len = once; len + size <= TOTAL; len += size)
		memcpy(text + len, data, size);
	vm_files();
	vm_load(text, len);
	free(text);
}
