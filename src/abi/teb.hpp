// The thread environment block, the process environment block and the loader's lists, as guest code reads
// them by fixed offset (gs:[30h] is the TEB, gs:[60h] the PEB). Every field named here is authoritative
// state: what a guest writes here is what Bobbin reads, and the other way round (specification, section 1).
#pragma once

#include <cstddef>

#include "abi/types.hpp"

namespace bobbin::abi {

struct PEB;

/// Thread environment block. Only fields that somebody uses are named; the rest is padding, zero.
struct TEB {
  // NT_TIB
  PVOID ExceptionList;                 // 0x000
  PVOID StackBase;                     // 0x008  highest address of the stack; fibers switch it
  PVOID StackLimit;                    // 0x010  lowest committed address; fibers switch it
  PVOID SubSystemTib;                  // 0x018
  PVOID FiberData;                     // 0x020
  PVOID ArbitraryUserPointer;          // 0x028
  TEB* Self;                           // 0x030
  PVOID EnvironmentPointer;            // 0x038
  HANDLE UniqueProcess;                // 0x040
  HANDLE UniqueThread;                 // 0x048
  PVOID ActiveRpcHandle;               // 0x050
  PVOID* ThreadLocalStoragePointer;    // 0x058  the implicit-TLS vector; compiler ABI
  PEB* ProcessEnvironmentBlock;        // 0x060
  DWORD LastErrorValue;                // 0x068
  DWORD CountOfOwnedCriticalSections;  // 0x06C
  /// Ours: what TlsGetValue reads slot i >= 64 by, as if this were a TEB with all its slots in TlsSlots. In a
  /// word that Windows keeps for csrss, since what TlsGetValue looks at then lies in one cache line.
  PVOID BobbinBeyondSlots;  // 0x070
  BYTE Reserved078[0x108 - 0x078];
  LCID CurrentLocale;  // 0x108  SetThreadLocale's; 0 means the user's
  BYTE Reserved10C[0x248 - 0x10C];
  /// Ours: how many FLS indices the fast paths serve, counted from 1.
  ULONG BobbinFlsIndices;  // 0x248
  BYTE Reserved24C[4];
  /// Ours: the thread::Thread that this TEB belongs to. Stands in words that Windows keeps for the kernel.
  PVOID BobbinThread;  // 0x250
  PVOID HeapFlsData;   // 0x258
  BYTE Reserved260[0x290 - 0x260];
  BYTE ActivationStack[0x2C0 - 0x290];  // 0x290
  NTSTATUS ExceptionCode;               // 0x2C0
  BYTE Reserved2C4[4];
  PVOID ActivationContextStackPointer;  // 0x2C8
  BYTE Reserved2D0[0x1250 - 0x2D0];
  DWORD LastStatusValue;  // 0x1250
  BYTE Reserved1254[4];
  UNICODE_STRING StaticUnicodeString;  // 0x1258
  WCHAR StaticUnicodeBuffer[261];      // 0x1268
  BYTE Reserved1472[0x1478 - 0x1472];
  PVOID DeallocationStack;  // 0x1478
  PVOID TlsSlots[64];       // 0x1480  explicit TLS, authoritative; Go reads and writes it directly
  LIST_ENTRY TlsLinks;      // 0x1680  both NULL on Windows
  PVOID Vdm;                // 0x1690
  BYTE Reserved1698[0x16B0 - 0x1698];
  ULONG HardErrorMode;  // 0x16B0  SetThreadErrorMode's
  BYTE Reserved16B4[0x1748 - 0x16B4];
  ULONG GuaranteedStackBytes;  // 0x1748
  BYTE Reserved174C[0x1758 - 0x174C];
  PVOID ReservedForOle;       // 0x1758
  ULONG WaitingOnLoaderLock;  // 0x1760
  BYTE Reserved1764[0x1780 - 0x1764];
  PVOID* TlsExpansionSlots;  // 0x1780  1024 cells, or NULL until a slot >= 64 is set
  BYTE Reserved1788[0x17B0 - 0x1788];
  PVOID HeapData;  // 0x17B0
  BYTE Reserved17B8[0x17C0 - 0x17B8];
  PVOID ActiveFrame;  // 0x17C0
  PVOID FlsData;      // 0x17C8
  BYTE Reserved17D0[0x17EC - 0x17D0];
  USHORT CrossTebFlags;  // 0x17EC
  USHORT SameTebFlags;   // 0x17EE
  BYTE Reserved17F0[0x1808 - 0x17F0];
  ULONG LockCount;    // 0x1808
  LONG WowTebOffset;  // 0x180C
  BYTE Reserved1810[0x1820 - 0x1810];
  PVOID ReservedForCrt;  // 0x1820
  BYTE Reserved1828[0x1878 - 0x1828];
};

/// TEB.SameTebFlags (specification 1.1).
enum : USHORT {
  TEB_HAS_FIBER_DATA = 1u << 2,
  TEB_SKIP_THREAD_ATTACH = 1u << 3,
  TEB_INITIAL_THREAD = 1u << 10,
  TEB_LOAD_OWNER = 1u << 12,
  TEB_SKIP_LOADER_INIT = 1u << 14,
};

inline constexpr ULONG TLS_MINIMUM_AVAILABLE = 64;  ///< Slots inside the TEB.
inline constexpr ULONG TLS_EXPANSION_SLOTS = 1024;  ///< Slots in the expansion array.
inline constexpr DWORD TLS_OUT_OF_INDEXES = 0xFFFFFFFFu;

/// The loader's three lists hang here (PEB.Ldr).
struct PEB_LDR_DATA {
  ULONG Length;         // 0x00
  BOOLEAN Initialized;  // 0x04
  BYTE Reserved05[3];
  HANDLE SsHandle;                             // 0x08
  LIST_ENTRY InLoadOrderModuleList;            // 0x10
  LIST_ENTRY InMemoryOrderModuleList;          // 0x20
  LIST_ENTRY InInitializationOrderModuleList;  // 0x30
  PVOID EntryInProgress;                       // 0x40
  BOOLEAN ShutdownInProgress;                  // 0x48
  BYTE Reserved49[7];
  HANDLE ShutdownThreadId;  // 0x50
};

/// One module in those lists (Windows 10/11 layout).
struct LDR_DATA_TABLE_ENTRY {
  LIST_ENTRY InLoadOrderLinks;            // 0x000
  LIST_ENTRY InMemoryOrderLinks;          // 0x010
  LIST_ENTRY InInitializationOrderLinks;  // 0x020
  PVOID DllBase;                          // 0x030
  PVOID EntryPoint;                       // 0x038
  ULONG SizeOfImage;                      // 0x040
  ULONG Reserved044;
  UNICODE_STRING FullDllName;  // 0x048
  UNICODE_STRING BaseDllName;  // 0x058
  ULONG Flags;                 // 0x068
  USHORT ObsoleteLoadCount;    // 0x06C
  USHORT TlsIndex;             // 0x06E  0xFFFF if the module has implicit TLS, else 0: a flag, not the index
  LIST_ENTRY HashLinks;        // 0x070
  ULONG TimeDateStamp;         // 0x080
  ULONG Reserved084;
  PVOID EntryPointActivationContext;  // 0x088
  PVOID Lock;                         // 0x090
  PVOID DdagNode;                     // 0x098
  LIST_ENTRY NodeModuleLink;          // 0x0A0
  PVOID LoadContext;                  // 0x0B0
  PVOID ParentDllBase;                // 0x0B8
  PVOID SwitchBackContext;            // 0x0C0
  PVOID BaseAddressIndexNode[3];      // 0x0C8
  PVOID MappingInfoIndexNode[3];      // 0x0E0
  ULONG_PTR OriginalBase;             // 0x0F8
  LARGE_INTEGER LoadTime;             // 0x100
  ULONG BaseNameHashValue;            // 0x108
  ULONG LoadReason;                   // 0x10C
  ULONG ImplicitPathOptions;          // 0x110
  ULONG ReferenceCount;               // 0x114
  ULONG DependentLoadFlags;           // 0x118
  UCHAR SigningLevel;                 // 0x11C
  BYTE Reserved11D[3];
  ULONG CheckSum;  // 0x120
  ULONG Reserved124;
};

/// LDR_DATA_TABLE_ENTRY.Flags.
enum : ULONG {
  LDRP_IMAGE_DLL = 0x4,
  LDRP_LOAD_IN_PROGRESS = 0x1000,
  LDRP_ENTRY_PROCESSED = 0x4000,
  LDRP_DONT_CALL_FOR_THREADS = 0x40000,
  LDRP_PROCESS_ATTACH_CALLED = 0x80000,
  LDRP_PROCESS_ATTACH_FAILED = 0x100000,
};

struct CURDIR {
  UNICODE_STRING DosPath;
  HANDLE Handle;
};

/// What CreateProcess hands to a new process; CRTs and runtimes read the command line and handles from here.
struct RTL_USER_PROCESS_PARAMETERS {
  ULONG MaximumLength;   // 0x00
  ULONG Length;          // 0x04
  ULONG Flags;           // 0x08
  ULONG DebugFlags;      // 0x0C
  HANDLE ConsoleHandle;  // 0x10
  ULONG ConsoleFlags;    // 0x18
  ULONG Reserved1C;
  HANDLE StandardInput;                                                  // 0x20
  HANDLE StandardOutput;                                                 // 0x28
  HANDLE StandardError;                                                  // 0x30
  CURDIR CurrentDirectory;                                               // 0x38
  UNICODE_STRING DllPath;                                                // 0x50
  UNICODE_STRING ImagePathName;                                          // 0x60
  UNICODE_STRING CommandLine;                                            // 0x70
  WCHAR* Environment;                                                    // 0x80
  ULONG StartingX, StartingY, CountX, CountY, CountCharsX, CountCharsY;  // 0x88
  ULONG FillAttribute;                                                   // 0xA0
  ULONG WindowFlags;                                                     // 0xA4
  ULONG ShowWindowFlags;                                                 // 0xA8
  ULONG ReservedAC;
  UNICODE_STRING WindowTitle;      // 0xB0
  UNICODE_STRING DesktopInfo;      // 0xC0
  UNICODE_STRING ShellInfo;        // 0xD0
  UNICODE_STRING RuntimeData;      // 0xE0
  BYTE CurrentDirectories[0x300];  // 0xF0
  ULONG_PTR EnvironmentSize;       // 0x3F0
};

/// Process environment block.
struct PEB {
  BOOLEAN InheritedAddressSpace;     // 0x000
  BOOLEAN ReadImageFileExecOptions;  // 0x001
  BOOLEAN BeingDebugged;             // 0x002
  BOOLEAN BitField;                  // 0x003
  BYTE Reserved004[4];
  HANDLE Mutant;                                   // 0x008
  PVOID ImageBaseAddress;                          // 0x010
  PEB_LDR_DATA* Ldr;                               // 0x018
  RTL_USER_PROCESS_PARAMETERS* ProcessParameters;  // 0x020
  PVOID SubSystemData;                             // 0x028
  HANDLE ProcessHeap;                              // 0x030
  RTL_CRITICAL_SECTION* FastPebLock;               // 0x038
  BYTE Reserved040[0x068 - 0x040];
  PVOID ApiSetMap;            // 0x068
  ULONG TlsExpansionCounter;  // 0x070
  ULONG Reserved074;
  RTL_BITMAP* TlsBitmap;   // 0x078
  ULONG TlsBitmapBits[2];  // 0x080
  BYTE Reserved088[0x0B8 - 0x088];
  ULONG NumberOfProcessors;  // 0x0B8
  ULONG NtGlobalFlag;        // 0x0BC
  BYTE Reserved0C0[0x0E8 - 0x0C0];
  ULONG NumberOfHeaps;         // 0x0E8
  ULONG MaximumNumberOfHeaps;  // 0x0EC
  PVOID* ProcessHeaps;         // 0x0F0
  BYTE Reserved0F8[0x110 - 0x0F8];
  RTL_CRITICAL_SECTION* LoaderLock;  // 0x110
  ULONG OSMajorVersion;              // 0x118
  ULONG OSMinorVersion;              // 0x11C
  USHORT OSBuildNumber;              // 0x120
  USHORT OSCSDVersion;               // 0x122
  ULONG OSPlatformId;                // 0x124
  ULONG ImageSubsystem;              // 0x128
  ULONG ImageSubsystemMajorVersion;  // 0x12C
  ULONG ImageSubsystemMinorVersion;  // 0x130
  BYTE Reserved134[0x230 - 0x134];
  PVOID PostProcessInitRoutine;      // 0x230
  RTL_BITMAP* TlsExpansionBitmap;    // 0x238
  ULONG TlsExpansionBitmapBits[32];  // 0x240
  ULONG SessionId;                   // 0x2C0
  BYTE Reserved2C4[0x318 - 0x2C4];
  ULONG_PTR MinimumStackCommit;  // 0x318
  PVOID FlsCallback;             // 0x320  zero from Windows 10 1903 on, as are the Fls words that follow
  LIST_ENTRY FlsListHead;        // 0x328
  PVOID FlsBitmap;               // 0x338
  ULONG FlsBitmapBits[4];        // 0x340
  ULONG FlsHighIndex;            // 0x350
  BYTE Reserved354[0x7D0 - 0x354];
};

/// The current thread's TEB. Only on a thread that is attached: GS of any other thread is meaningless.
[[nodiscard]] inline TEB* current_teb() {
  TEB* teb;
  asm("mov %%gs:0x30, %0" : "=r"(teb));
  return teb;
}
/// The same after a call into the guest, which can come back on another thread (fibers): asked anew, whatever
/// the compiler remembers.
[[nodiscard]] inline TEB* current_teb_afresh() {
  TEB* teb;
  asm volatile("mov %%gs:0x30, %0" : "=r"(teb) : : "memory");
  return teb;
}

}  // namespace bobbin::abi
