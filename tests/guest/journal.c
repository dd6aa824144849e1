#include "guest.h"

enum { kMost = 256 };
static struct {
  const char* who;
  DWORD reason;
} notes[kMost];
static volatile LONG length;
static int keep;

__declspec(dllexport) void journal_note(const char* who, DWORD reason) {
  if (!keep) {
    line("%s %s", who, reason_name(reason));
    return;
  }
  LONG at = InterlockedIncrement(&length) - 1;
  if (at >= kMost) return;
  notes[at].who = who;
  notes[at].reason = reason;
}

__declspec(dllexport) void journal_keep(int on) {
  keep = on;
  length = 0;
}

__declspec(dllexport) unsigned journal_position(const char* who, DWORD reason) {
  for (LONG i = 0; i < length; ++i)
    if (notes[i].reason == reason && same_text(notes[i].who, who)) return (unsigned)i + 1;
  return 0;
}

__declspec(dllexport) unsigned journal_length(void) { return (unsigned)length; }

DLL_ENTRY() { return TRUE; }
