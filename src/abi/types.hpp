// The basic Windows types, as 64-bit Windows sizes them (LLP64: LONG is 32 bits, WCHAR 16). Windows spelling
// marks the border: these names are used here and in win32/ only.
#pragma once

#include <cstddef>
#include <cstdint>

/// The calling convention of every function that a guest calls or that we call in a guest.
#define BOBBIN_MS_ABI __attribute__((ms_abi))

namespace bobbin::abi {

using BYTE = std::uint8_t;
using UCHAR = std::uint8_t;
using BOOLEAN = std::uint8_t;
using WORD = std::uint16_t;
using USHORT = std::uint16_t;
using SHORT = std::int16_t;
using BOOL = std::int32_t;
using INT = std::int32_t;
using UINT = std::uint32_t;
using LONG = std::int32_t;
using ULONG = std::uint32_t;
using DWORD = std::uint32_t;
using LONGLONG = std::int64_t;
using ULONGLONG = std::uint64_t;
using DWORD64 = std::uint64_t;
using ULONG64 = std::uint64_t;
using LONG_PTR = std::int64_t;
using ULONG_PTR = std::uint64_t;
using DWORD_PTR = std::uint64_t;
using SIZE_T = std::uint64_t;
using SSIZE_T = std::int64_t;
using NTSTATUS = std::int32_t;
using LCID = DWORD;
using LANGID = WORD;
using CHAR = char;
using WCHAR = char16_t;
using PVOID = void*;
using LPVOID = void*;
using LPCVOID = const void*;
using LPSTR = CHAR*;
using LPCSTR = const CHAR*;
using LPWSTR = WCHAR*;
using LPCWSTR = const WCHAR*;
using HANDLE = void*;
using HMODULE = void*;
using FARPROC = void*;
using HLOCAL = void*;
using HGLOBAL = void*;

inline constexpr BOOL FALSE = 0;
inline constexpr BOOL TRUE = 1;
inline const HANDLE INVALID_HANDLE_VALUE = reinterpret_cast<HANDLE>(~std::uintptr_t{0});

union LARGE_INTEGER {
  struct {
    DWORD LowPart;
    LONG HighPart;
  } u;
  LONGLONG QuadPart;
};
union ULARGE_INTEGER {
  struct {
    DWORD LowPart;
    DWORD HighPart;
  } u;
  ULONGLONG QuadPart;
};

struct FILETIME {
  DWORD dwLowDateTime;
  DWORD dwHighDateTime;
};

/// A counted UTF-16 string; Length and MaximumLength are in bytes, without a terminator.
struct UNICODE_STRING {
  USHORT Length;
  USHORT MaximumLength;
  WCHAR* Buffer;
};
struct ANSI_STRING {
  USHORT Length;
  USHORT MaximumLength;
  CHAR* Buffer;
};

struct LIST_ENTRY {
  LIST_ENTRY* Flink;
  LIST_ENTRY* Blink;
};

struct RTL_BITMAP {
  ULONG SizeOfBitMap;
  ULONG* Buffer;
};

struct SECURITY_ATTRIBUTES {
  DWORD nLength;
  LPVOID lpSecurityDescriptor;
  BOOL bInheritHandle;
};

struct GUID {
  std::uint32_t Data1;
  std::uint16_t Data2;
  std::uint16_t Data3;
  std::uint8_t Data4[8];
};

/// The critical section as guests embed it; ntdll's fields, read directly by some CRTs and by debuggers.
struct RTL_CRITICAL_SECTION {
  PVOID DebugInfo;
  LONG LockCount;  ///< -1 when free.
  LONG RecursionCount;
  HANDLE OwningThread;  ///< The owner's thread id, as a handle-sized number.
  HANDLE LockSemaphore;
  ULONG_PTR SpinCount;
};
static_assert(sizeof(RTL_CRITICAL_SECTION) == 0x28);

struct RTL_SRWLOCK {
  PVOID Ptr;
};
struct RTL_CONDITION_VARIABLE {
  PVOID Ptr;
};
union RTL_RUN_ONCE {
  PVOID Ptr;
};

struct alignas(16) SLIST_ENTRY {
  SLIST_ENTRY* Next;
};
/// As x64 lays it out: the two halves change together.
struct alignas(16) SLIST_HEADER {
  ULONGLONG Alignment;  ///< Depth in bits 0..15, Sequence above.
  ULONGLONG Region;     ///< The first entry; its four low bits are reserved.
};

}  // namespace bobbin::abi
