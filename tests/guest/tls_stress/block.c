// A DLL with one thread-local block of BLOCK_SIZE bytes, and questions about the calling thread's copy of it.
#include "tls_directory.h"

typedef struct {
  unsigned head;
  char room[BLOCK_SIZE - 8];
  unsigned tail;
} Block;

enum { kHead = 0x48454144, kTail = 0x5441494C };

#define TEMPLATE {.head = kHead, .tail = kTail}  // in one piece, for a macro's argument
PER_THREAD(Block, block, TEMPLATE);

// Whether nobody has written to it yet.
__declspec(dllexport) int block_is_fresh(void) { return MY(block).head == kHead && MY(block).tail == kTail; }

__declspec(dllexport) void block_mark(unsigned mark) { MY(block).head = MY(block).tail = mark; }

__declspec(dllexport) int block_holds(unsigned mark) {
  return MY(block).head == mark && MY(block).tail == mark;
}

__declspec(dllexport) unsigned block_index(void) { return _tls_index; }

DLL_ENTRY() { return TRUE; }
