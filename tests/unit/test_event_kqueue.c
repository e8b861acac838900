/* test_event_kqueue.c: src/host/event_macos.c, on a double of kqueue(2): test_event.c once more. */
#include "macos/kqueue.h"

#include "../../src/host/event_macos.c"

/* NOLINTNEXTLINE(bugprone-suspicious-include): the same tests */
#include "test_event.c"
