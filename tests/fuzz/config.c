/* config.c: any text through loader and planner; a good config prints so that it loads back. */
#include "vm.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	vm_files();
	vm_load((const char *)data, size);
}
