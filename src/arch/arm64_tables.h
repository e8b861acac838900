/* arm64_tables.h: the device tree in guest memory: functions of arch_row (plan.h). */
#ifndef ARCH_ARM64_TABLES_H
#define ARCH_ARM64_TABLES_H

#include <vibevmm/plan.h>

void arm64_tables_plan(struct plan *plan, struct diags *diags);
int arm64_tables_write(const struct plan *plan, struct memory *memory, struct err *err);
int arm64_tables_each(const struct plan *plan, plan_table_fn fn, void *arg);

#endif
