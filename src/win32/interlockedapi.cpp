// interlockedapi.h: singly linked lists (the other interlocked functions are instructions on x64), and
// ntdll's names for them. All are leaves.
#include "sync/slist.hpp"
#include "win32/native.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
namespace slist = sync::slist;

BOBBIN_MS_ABI void InitializeSListHead(SLIST_HEADER* head) { *head = {}; }

BOBBIN_MS_ABI SLIST_ENTRY* InterlockedPushEntrySList(SLIST_HEADER* head, SLIST_ENTRY* entry) {
  return slist::push(*head, entry, entry, 1);
}

BOBBIN_MS_ABI SLIST_ENTRY* InterlockedPopEntrySList(SLIST_HEADER* head) { return slist::pop(*head); }

BOBBIN_MS_ABI SLIST_ENTRY* InterlockedFlushSList(SLIST_HEADER* head) { return slist::flush(*head); }

BOBBIN_MS_ABI SLIST_ENTRY* InterlockedPushListSListEx(SLIST_HEADER* head, SLIST_ENTRY* first,
                                                      SLIST_ENTRY* last, ULONG count) {
  return slist::push(*head, first, last, count);
}

BOBBIN_MS_ABI USHORT QueryDepthSList(SLIST_HEADER* head) { return slist::depth(*head); }

BOBBIN_MS_ABI SLIST_ENTRY* RtlFirstEntrySList(SLIST_HEADER* head) { return slist::first(slist::look(*head)); }

// One function under its name in kernel32 and the one in ntdll that it is forwarded to.
constexpr auto& RtlInitializeSListHead = InitializeSListHead;
constexpr auto& RtlInterlockedFlushSList = InterlockedFlushSList;
constexpr auto& RtlInterlockedPopEntrySList = InterlockedPopEntrySList;
constexpr auto& RtlInterlockedPushEntrySList = InterlockedPushEntrySList;
constexpr auto& RtlInterlockedPushListSListEx = InterlockedPushListSListEx;
constexpr auto& RtlQueryDepthSList = QueryDepthSList;

const Export kExports[] = {
    HOT(kKernel32, InitializeSListHead),
    HOT(kKernel32, InterlockedFlushSList),
    HOT(kKernel32, InterlockedPopEntrySList),
    HOT(kKernel32, InterlockedPushEntrySList),
    HOT(kKernel32, InterlockedPushListSListEx),
    HOT(kKernel32, QueryDepthSList),
    HOT(kNtdll, RtlFirstEntrySList),
    HOT(kNtdll, RtlInitializeSListHead),
    HOT(kNtdll, RtlInterlockedFlushSList),
    HOT(kNtdll, RtlInterlockedPopEntrySList),
    HOT(kNtdll, RtlInterlockedPushEntrySList),
    HOT(kNtdll, RtlInterlockedPushListSListEx),
    HOT(kNtdll, RtlQueryDepthSList),
};

}  // namespace

std::span<const Export> interlockedapi_natives() { return kExports; }

}  // namespace bobbin::win32
