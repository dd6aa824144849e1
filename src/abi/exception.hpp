// How an exception is described to handlers (winnt.h), and how a function's unwind information is found.
#pragma once

#include "abi/context.hpp"
#include "abi/types.hpp"

namespace bobbin::abi {

/// EXCEPTION_RECORD.ExceptionFlags.
enum : DWORD {
  EXCEPTION_NONCONTINUABLE = 0x1,
  EXCEPTION_UNWINDING = 0x2,       ///< frames are being left: handlers clean up
  EXCEPTION_EXIT_UNWIND = 0x4,     ///< all frames are, for there is no target
  EXCEPTION_STACK_INVALID = 0x8,   ///< a frame does not lie in the stack, or not in order
  EXCEPTION_NESTED_CALL = 0x10,    ///< the handler that is asked is itself the one that raised
  EXCEPTION_TARGET_UNWIND = 0x20,  ///< this frame is the one that execution goes on in
  EXCEPTION_COLLIDED_UNWIND =
      0x40,  ///< this frame's handler was interrupted by the unwind that asks it again
  EXCEPTION_UNWIND =
      EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND | EXCEPTION_TARGET_UNWIND | EXCEPTION_COLLIDED_UNWIND,
};

/// What filters and vectored handlers answer.
inline constexpr LONG EXCEPTION_CONTINUE_EXECUTION = -1;
inline constexpr LONG EXCEPTION_CONTINUE_SEARCH = 0;
inline constexpr LONG EXCEPTION_EXECUTE_HANDLER = 1;

/// What frame handlers answer (EXCEPTION_DISPOSITION).
inline constexpr DWORD ExceptionContinueExecution = 0;
inline constexpr DWORD ExceptionContinueSearch = 1;
inline constexpr DWORD ExceptionNestedException = 2;
inline constexpr DWORD ExceptionCollidedUnwind = 3;

inline constexpr DWORD EXCEPTION_MAXIMUM_PARAMETERS = 15;

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

/// RUNTIME_FUNCTION.UnwindData: it leads to another row, not to unwind information.
inline constexpr DWORD RUNTIME_FUNCTION_INDIRECT = 0x1;

/// UNWIND_INFO's flags, which RtlVirtualUnwind takes as well to say what handlers it is asked for.
enum : BYTE {
  UNW_FLAG_EHANDLER = 0x1,
  UNW_FLAG_UHANDLER = 0x2,
  UNW_FLAG_CHAININFO = 0x4,
};

/// What a frame's language handler is told beside the exception.
struct DISPATCHER_CONTEXT {
  ULONG64 ControlPc;
  ULONG64 ImageBase;
  RUNTIME_FUNCTION* FunctionEntry;
  ULONG64 EstablisherFrame;
  ULONG64 TargetIp;
  CONTEXT* ContextRecord;
  PVOID LanguageHandler;
  PVOID HandlerData;
  PVOID HistoryTable;
  ULONG ScopeIndex;  ///< __C_specific_handler's: where to go on when an unwind collided
  ULONG Fill0;
};
static_assert(sizeof(DISPATCHER_CONTEXT) == 0x50);

/// __C_specific_handler's table, its handler data: RVAs.
struct SCOPE_RECORD {
  DWORD BeginAddress;
  DWORD EndAddress;
  DWORD HandlerAddress;  ///< the filter (1: it always says EXCEPTION_EXECUTE_HANDLER), or the __finally
  DWORD JumpTarget;      ///< the __except block; 0 for a __finally
};

/// Where RtlVirtualUnwind found each register; those that a frame did not save stay as they are.
struct KNONVOLATILE_CONTEXT_POINTERS {
  PVOID FloatingContext[16];
  ULONG64* IntegerContext[16];
};

/// An entry of TEB.ExceptionList.
struct EXCEPTION_REGISTRATION_RECORD {
  EXCEPTION_REGISTRATION_RECORD* Next;
  PVOID Handler;
};

/// setjmp's buffer, x64.
struct JUMP_BUFFER {
  ULONG64 Frame, Rbx, Rsp, Rbp, Rsi, Rdi, R12, R13, R14, R15, Rip;
  DWORD MxCsr;
  WORD FpCsr, Spare;
  BYTE Xmm6ToXmm15[10][16];
};

}  // namespace bobbin::abi
