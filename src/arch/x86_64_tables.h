/* x86_64_tables.h: ACPI and SMBIOS in guest memory: functions of arch_row (plan.h). */
#ifndef ARCH_X86_64_TABLES_H
#define ARCH_X86_64_TABLES_H

#include <vibevmm/plan.h>

void x86_64_tables_plan(struct plan *plan, struct diags *diags);
int x86_64_tables_write(const struct plan *plan, struct memory *memory, struct err *err);
int x86_64_tables_each(const struct plan *plan, plan_table_fn fn, void *arg);

#endif
