// libFuzzer for Swift, which comes with the toolchain without a header of this function. Only
// Sources/Testing/FuzzCLI imports this module.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
#endif
/// Does what the arguments say (`-help=1` lists them) with calls of `callback`, which returns 0. A crash ends it all.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t byteCount));
