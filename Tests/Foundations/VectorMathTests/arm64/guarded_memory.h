// Memory for kernels under test: a page that must not be touched follows it, bytes that must not change surround it.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD_BYTE = 0xa5, MAX_GUARDED = 64, MARGIN_BYTES = 64 };

struct guarded {
    uint8_t *pages, *bytes;
    size_t page_bytes, byte_count, slack;
};

static struct guarded guarded_blocks[MAX_GUARDED];
static size_t guarded_count;

// `slack` bytes lie between the block and the forbidden page: 0 finds reads past the end, others move the alignment.
static void *guarded_memory(size_t byte_count, size_t slack) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t usable = (MARGIN_BYTES + byte_count + slack + page - 1) / page * page;
    uint8_t *pages = mmap(NULL, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || guarded_count == MAX_GUARDED || mprotect(pages + usable, page, PROT_NONE) != 0) {
        fprintf(stderr, "no memory with a guard page\n");
        exit(2);
    }
    memset(pages, GUARD_BYTE, usable);
    uint8_t *bytes = pages + usable - slack - byte_count;
    guarded_blocks[guarded_count++] = (struct guarded){pages, bytes, usable + page, byte_count, slack};
    return bytes;
}

// Gives every block back; returns whether all bytes around them are as they were.
static int release_guarded_memory(void) {
    int intact = 1;
    for (size_t n = 0; n < guarded_count; n++) {
        const struct guarded block = guarded_blocks[n];
        for (size_t i = 1; i <= MARGIN_BYTES; i++) intact &= *(block.bytes - i) == GUARD_BYTE;
        for (size_t i = 0; i < block.slack; i++) intact &= block.bytes[block.byte_count + i] == GUARD_BYTE;
        munmap(block.pages, block.page_bytes);
    }
    guarded_count = 0;
    return intact;
}
