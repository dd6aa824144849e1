// The register set of a thread as Windows lays it out (winnt.h CONTEXT, x64).
#pragma once

#include <cstddef>

#include "abi/types.hpp"

namespace bobbin::abi {

/// CONTEXT.ContextFlags: which parts are asked for or given.
enum : DWORD {
  CONTEXT_AMD64 = 0x00100000,
  CONTEXT_CONTROL = CONTEXT_AMD64 | 0x1,  ///< SegSs, Rsp, SegCs, Rip, EFlags
  CONTEXT_INTEGER = CONTEXT_AMD64 | 0x2,  ///< Rax to R15 without Rsp
  CONTEXT_SEGMENTS = CONTEXT_AMD64 | 0x4,
  CONTEXT_FLOATING_POINT = CONTEXT_AMD64 | 0x8,  ///< MxCsr, FltSave
  CONTEXT_DEBUG_REGISTERS = CONTEXT_AMD64 | 0x10,
};

/// What FXSAVE writes.
struct alignas(16) XSAVE_FORMAT {
  WORD ControlWord, StatusWord;       // 0x00
  BYTE TagWord, Reserved1;            // 0x04
  WORD ErrorOpcode;                   // 0x06
  DWORD ErrorOffset;                  // 0x08
  WORD ErrorSelector, Reserved2;      // 0x0C
  DWORD DataOffset;                   // 0x10
  WORD DataSelector, Reserved3;       // 0x14
  DWORD MxCsr, MxCsr_Mask;            // 0x18
  BYTE FloatRegisters[8][16];         // 0x20
  BYTE XmmRegisters[16][16];          // 0xA0
  BYTE Reserved4[48], Available[48];  // 0x1A0  the latter is for the operating system
};

struct alignas(16) CONTEXT {
  DWORD64 P1Home, P2Home, P3Home, P4Home, P5Home, P6Home;  // 0x00
  DWORD ContextFlags;                                      // 0x30
  DWORD MxCsr;                                             // 0x34
  WORD SegCs, SegDs, SegEs, SegFs, SegGs, SegSs;           // 0x38
  DWORD EFlags;                                            // 0x44
  DWORD64 Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;                    // 0x48
  DWORD64 Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi;          // 0x78
  DWORD64 R8, R9, R10, R11, R12, R13, R14, R15;            // 0xB8
  DWORD64 Rip;                                             // 0xF8
  XSAVE_FORMAT FltSave;                                    // 0x100
  BYTE VectorRegister[26 * 16];                            // 0x300
  DWORD64 VectorControl;                                   // 0x4A0
  DWORD64 DebugControl, LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
};

}  // namespace bobbin::abi
