/* terminal_size.h: how a handler of signals tells of the terminal's new size. */
#ifndef HOST_TERMINAL_SIZE_H
#define HOST_TERMINAL_SIZE_H

/* A descriptor that becomes readable anew whenever it is told. -1: none can be had. Once. */
int terminal_size_open(void);

/* Async-signal-safe, but for errno. */
void terminal_size_tell(void);

#endif
