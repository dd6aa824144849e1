// How an exception is described to handlers (winnt.h), and how a function's unwind information is found.
#pragma once

#include "abi/context.hpp"
#include "abi/types.hpp"

namespace bobbin::abi {

inline constexpr DWORD EXCEPTION_NONCONTINUABLE = 0x1;
inline constexpr LONG EXCEPTION_CONTINUE_EXECUTION = -1;
inline constexpr DWORD EXCEPTION_MAXIMUM_PARAMETERS = 15;
inline constexpr DWORD STATUS_LONGJUMP = 0x80000026;

struct EXCEPTION_RECORD {
  DWORD ExceptionCode;
  DWORD ExceptionFlags;
  EXCEPTION_RECORD* ExceptionRecord;
  PVOID ExceptionAddress;
  DWORD NumberParameters;
  ULONG_PTR ExceptionInformation[EXCEPTION_MAXIMUM_PARAMETERS];
};
static_assert(sizeof(EXCEPTION_RECORD) == 0x98);

struct EXCEPTION_POINTERS {
  EXCEPTION_RECORD* ExceptionRecord;
  CONTEXT* ContextRecord;
};

/// A row of .pdata; RVAs, sorted by BeginAddress.
struct RUNTIME_FUNCTION {
  DWORD BeginAddress;
  DWORD EndAddress;
  DWORD UnwindData;
};

/// setjmp's buffer, x64.
struct JUMP_BUFFER {
  ULONG64 Frame, Rbx, Rsp, Rbp, Rsi, Rdi, R12, R13, R14, R15, Rip;
  DWORD MxCsr;
  WORD FpCsr, Spare;
  BYTE Xmm6ToXmm15[10][16];
};

}  // namespace bobbin::abi
