/* What stub libraries share. A test chooses through the three functions below; each question is a STEP by its name. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STUB_ABORT = -1000001, STUB_LOOP = -1000002 };

static char stub_symbol[128];
static int stub_code;
static int stub_garbage;
static unsigned stub_count = 2;

void stub_fail(const char *symbol, int code) {
    snprintf(stub_symbol, sizeof stub_symbol, "%s", symbol);
    stub_code = code;
}

void stub_devices(unsigned count) { stub_count = count; }

void stub_talk_garbage(void) { stub_garbage = 1; }

/* In a process that a test does not call into, the environment chooses: STUB_FAIL=symbol:code
   (`*` is every symbol), STUB_DEVICES, STUB_GARBAGE, STUB_PRINT. */
static __attribute__((constructor)) void stub_choose(void) {
    const char *fail = getenv("STUB_FAIL"), *count = getenv("STUB_DEVICES");
    const char *colon = fail ? strrchr(fail, ':') : 0;
    if (colon) {
        snprintf(stub_symbol, sizeof stub_symbol, "%.*s", (int)(colon - fail), fail);
        stub_code = atoi(colon + 1);
    }
    if (count) stub_count = (unsigned)atoi(count);
    stub_garbage = getenv("STUB_GARBAGE") != 0;
    if (getenv("STUB_PRINT")) puts("a maker's library prints"), fflush(stdout);
}

static int stub_step(const char *symbol) {
    if (strcmp(symbol, stub_symbol) != 0 && strcmp("*", stub_symbol) != 0) return 0;
    if (stub_code == STUB_ABORT) abort();
    if (stub_code == STUB_LOOP)
        for (;;) pause();
    return stub_code;
}

#define STEP(symbol)                     \
    do {                                 \
        int code_ = stub_step(#symbol);  \
        if (code_ != 0) return code_;    \
    } while (0)

/* The number, or every bit set. */
#define NUMBER(value) (stub_garbage ? (__typeof__(value))~0ull : (value))

/* A text in a field of this size; as garbage it has no end and is no UTF-8. */
static __attribute__((unused)) void stub_text(char *out, size_t size, const char *text) {
    if (stub_garbage) memset(out, 0xfe, size);
    else snprintf(out, size, "%s", text);
}

/* The same with the device's number in it. */
static __attribute__((unused)) void stub_textf(char *out, size_t size, const char *format, unsigned device) {
    char text[256];
    snprintf(text, sizeof text, format, device);
    stub_text(out, size, text);
}

/* Handles are pointers that must not be followed. */
#define HANDLE(index) ((void *)(uintptr_t)(0x1000 + (index)))
#define INDEX(handle) ((unsigned)((uintptr_t)(handle) - 0x1000))
