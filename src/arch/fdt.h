/* fdt.h: the device tree: what an arm64 guest is told about its machine.
 *
 * All functions return 0, -ENOMEM, -E2BIG (over FDT_TREE_MAX) or -EINVAL (damaged), and leave their
 * outputs alone on failure. Trees are malloc'ed, the caller's.
 */
#ifndef ARCH_FDT_H
#define ARCH_FDT_H

#include <stddef.h>

#include <vibevmm/plan.h>

/* Linux, Documentation/arch/arm64/booting.rst, 2. */
#define FDT_TREE_MAX (2UL << 20)

/* What fdt_tree_seeds adds at most. */
#define FDT_TREE_SEEDS 256

/* A tree of the plan's machine, without what fdt_tree_chosen and fdt_tree_seeds add. */
int fdt_tree_build(const struct plan *plan, void **tree, size_t *len);

/* Whether these bytes are a tree, all of it. */
int fdt_tree_check(const void *bytes, size_t len);

/* A copy of a tree with the command line and the place of the initial RAM disk in it, if the plan
 * has any: Devicetree Specification 0.4, 3.6, and Linux's bindings for /chosen. */
int fdt_tree_chosen(const struct plan *plan, const void *tree, void **copy, size_t *len);

/* A copy of a tree with random numbers for the guest to begin with: different ones at each call. */
int fdt_tree_seeds(const void *tree, void **copy, size_t *len);

#endif
