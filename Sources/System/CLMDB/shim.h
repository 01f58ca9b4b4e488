// liblmdb for Swift. Only Sources/Foundations/LMDB imports this module.
#pragma once
#include <lmdb.h>
