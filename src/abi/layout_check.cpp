// Every offset that guest code relies on, checked against the published layout in one place (specification,
// section 1). If this file compiles, the structs are right.
#include "abi/asm_offsets.h"
#include "abi/context.hpp"
#include "abi/teb.hpp"

namespace bobbin::abi {

#define AT(type, field, offset) static_assert(offsetof(type, field) == (offset), #type "." #field)

AT(TEB, StackBase, 0x008);
AT(TEB, StackLimit, 0x010);
AT(TEB, FiberData, 0x020);
AT(TEB, ArbitraryUserPointer, 0x028);
AT(TEB, Self, 0x030);
AT(TEB, UniqueProcess, 0x040);
AT(TEB, UniqueThread, 0x048);
AT(TEB, ThreadLocalStoragePointer, 0x058);
AT(TEB, ProcessEnvironmentBlock, 0x060);
AT(TEB, LastErrorValue, 0x068);
AT(TEB, CurrentLocale, 0x108);
AT(TEB, BobbinBeyondSlots, 0x070);
AT(TEB, CountOfOwnedCriticalSections, 0x06C);
AT(TEB, BobbinThread, 0x250);
AT(TEB, HeapFlsData, 0x258);
AT(TEB, ActivationStack, 0x290);
AT(TEB, ExceptionCode, 0x2C0);
AT(TEB, ActivationContextStackPointer, 0x2C8);
AT(TEB, LastStatusValue, 0x1250);
AT(TEB, StaticUnicodeString, 0x1258);
AT(TEB, StaticUnicodeBuffer, 0x1268);
AT(TEB, DeallocationStack, 0x1478);
AT(TEB, TlsSlots, 0x1480);
AT(TEB, TlsLinks, 0x1680);
AT(TEB, HardErrorMode, 0x16B0);
AT(TEB, Vdm, 0x1690);
AT(TEB, GuaranteedStackBytes, 0x1748);
AT(TEB, ReservedForOle, 0x1758);
AT(TEB, WaitingOnLoaderLock, 0x1760);
AT(TEB, TlsExpansionSlots, 0x1780);
AT(TEB, HeapData, 0x17B0);
AT(TEB, ActiveFrame, 0x17C0);
AT(TEB, FlsData, 0x17C8);
AT(TEB, CrossTebFlags, 0x17EC);
AT(TEB, SameTebFlags, 0x17EE);
AT(TEB, LockCount, 0x1808);
AT(TEB, WowTebOffset, 0x180C);
AT(TEB, ReservedForCrt, 0x1820);
static_assert(sizeof(TEB) == 0x1878);

AT(TEB, StackBase, TEB_STACK_BASE);
AT(TEB, StackLimit, TEB_STACK_LIMIT);
AT(TEB, FiberData, TEB_FIBER_DATA);
AT(TEB, Self, TEB_SELF);
AT(TEB, LastErrorValue, TEB_LAST_ERROR);
AT(TEB, BobbinThread, TEB_BOBBIN_THREAD);
AT(TEB, DeallocationStack, TEB_DEALLOCATION_STACK);
AT(TEB, TlsSlots, TEB_TLS_SLOTS);
AT(TEB, TlsExpansionSlots, TEB_TLS_EXPANSION);

AT(PEB, BeingDebugged, 0x002);
AT(PEB, ImageBaseAddress, 0x010);
AT(PEB, Ldr, 0x018);
AT(PEB, ProcessParameters, 0x020);
AT(PEB, ProcessHeap, 0x030);
AT(PEB, FastPebLock, 0x038);
AT(PEB, ApiSetMap, 0x068);
AT(PEB, TlsExpansionCounter, 0x070);
AT(PEB, TlsBitmap, 0x078);
AT(PEB, TlsBitmapBits, 0x080);
AT(PEB, NumberOfProcessors, 0x0B8);
AT(PEB, NtGlobalFlag, 0x0BC);
AT(PEB, NumberOfHeaps, 0x0E8);
AT(PEB, ProcessHeaps, 0x0F0);
AT(PEB, LoaderLock, 0x110);
AT(PEB, OSMajorVersion, 0x118);
AT(PEB, OSBuildNumber, 0x120);
AT(PEB, PostProcessInitRoutine, 0x230);
AT(PEB, TlsExpansionBitmap, 0x238);
AT(PEB, TlsExpansionBitmapBits, 0x240);
AT(PEB, SessionId, 0x2C0);
AT(PEB, MinimumStackCommit, 0x318);
AT(PEB, FlsCallback, 0x320);
AT(PEB, FlsListHead, 0x328);
AT(PEB, FlsBitmap, 0x338);
AT(PEB, FlsBitmapBits, 0x340);
AT(PEB, FlsHighIndex, 0x350);
static_assert(sizeof(PEB) == 0x7D0);

AT(PEB_LDR_DATA, InLoadOrderModuleList, 0x10);
AT(PEB_LDR_DATA, InMemoryOrderModuleList, 0x20);
AT(PEB_LDR_DATA, InInitializationOrderModuleList, 0x30);
AT(PEB_LDR_DATA, EntryInProgress, 0x40);
AT(PEB_LDR_DATA, ShutdownInProgress, 0x48);
AT(PEB_LDR_DATA, ShutdownThreadId, 0x50);

AT(LDR_DATA_TABLE_ENTRY, DllBase, 0x30);
AT(LDR_DATA_TABLE_ENTRY, EntryPoint, 0x38);
AT(LDR_DATA_TABLE_ENTRY, SizeOfImage, 0x40);
AT(LDR_DATA_TABLE_ENTRY, FullDllName, 0x48);
AT(LDR_DATA_TABLE_ENTRY, BaseDllName, 0x58);
AT(LDR_DATA_TABLE_ENTRY, Flags, 0x68);
AT(LDR_DATA_TABLE_ENTRY, ObsoleteLoadCount, 0x6C);
AT(LDR_DATA_TABLE_ENTRY, TlsIndex, 0x6E);
AT(LDR_DATA_TABLE_ENTRY, HashLinks, 0x70);
AT(LDR_DATA_TABLE_ENTRY, TimeDateStamp, 0x80);
AT(LDR_DATA_TABLE_ENTRY, DdagNode, 0x98);
AT(LDR_DATA_TABLE_ENTRY, NodeModuleLink, 0xA0);
AT(LDR_DATA_TABLE_ENTRY, ParentDllBase, 0xB8);
AT(LDR_DATA_TABLE_ENTRY, BaseAddressIndexNode, 0xC8);
AT(LDR_DATA_TABLE_ENTRY, MappingInfoIndexNode, 0xE0);
AT(LDR_DATA_TABLE_ENTRY, OriginalBase, 0xF8);
AT(LDR_DATA_TABLE_ENTRY, LoadTime, 0x100);
AT(LDR_DATA_TABLE_ENTRY, ReferenceCount, 0x114);
AT(LDR_DATA_TABLE_ENTRY, CheckSum, 0x120);

AT(RTL_USER_PROCESS_PARAMETERS, StandardInput, 0x20);
AT(RTL_USER_PROCESS_PARAMETERS, CurrentDirectory, 0x38);
AT(RTL_USER_PROCESS_PARAMETERS, DllPath, 0x50);
AT(RTL_USER_PROCESS_PARAMETERS, ImagePathName, 0x60);
AT(RTL_USER_PROCESS_PARAMETERS, CommandLine, 0x70);
AT(RTL_USER_PROCESS_PARAMETERS, Environment, 0x80);
AT(RTL_USER_PROCESS_PARAMETERS, WindowTitle, 0xB0);
AT(RTL_USER_PROCESS_PARAMETERS, EnvironmentSize, 0x3F0);

AT(XSAVE_FORMAT, MxCsr, 0x18);
AT(XSAVE_FORMAT, XmmRegisters, 0xA0);
static_assert(sizeof(XSAVE_FORMAT) == 0x200);

AT(CONTEXT, ContextFlags, CONTEXT_FLAGS);
AT(CONTEXT, MxCsr, CONTEXT_MXCSR);
AT(CONTEXT, SegCs, CONTEXT_SEGCS);
AT(CONTEXT, SegSs, CONTEXT_SEGSS);
AT(CONTEXT, EFlags, CONTEXT_EFLAGS);
AT(CONTEXT, Rax, CONTEXT_RAX);
AT(CONTEXT, Rsp, CONTEXT_RSP);
AT(CONTEXT, R8, CONTEXT_R8);
AT(CONTEXT, Rip, CONTEXT_RIP);
AT(CONTEXT, FltSave, CONTEXT_FLTSAVE);
static_assert(sizeof(CONTEXT) == 0x4D0);

#undef AT

}  // namespace bobbin::abi
