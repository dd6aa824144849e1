// The three circular lists that hang at PEB.Ldr. Guests walk them without asking us, so an entry is complete
// before it is linked, and linking is a few pointer stores under the loader lock.
#pragma once

#include "abi/teb.hpp"

namespace bobbin::loader {

inline void make_empty(abi::LIST_ENTRY& head) { head.Flink = head.Blink = &head; }

inline void append(abi::LIST_ENTRY& head, abi::LIST_ENTRY& links) {
  links.Flink = &head;
  links.Blink = head.Blink;
  head.Blink->Flink = &links;
  head.Blink = &links;
}

inline void remove(abi::LIST_ENTRY& links) {
  if (links.Flink == nullptr) return;  // was never in this list
  links.Blink->Flink = links.Flink;
  links.Flink->Blink = links.Blink;
  links = {};
}

inline void link(abi::PEB_LDR_DATA& ldr, abi::LDR_DATA_TABLE_ENTRY& entry) {
  append(ldr.InLoadOrderModuleList, entry.InLoadOrderLinks);
  append(ldr.InMemoryOrderModuleList, entry.InMemoryOrderLinks);
}

/// The program stands first in load order, as on Windows, whatever was there before it.
inline void move_to_front(abi::PEB_LDR_DATA& ldr, abi::LDR_DATA_TABLE_ENTRY& entry) {
  const auto to_front = [](abi::LIST_ENTRY& head, abi::LIST_ENTRY& links) {
    remove(links);
    append(*head.Flink, links);  // before the first
  };
  to_front(ldr.InLoadOrderModuleList, entry.InLoadOrderLinks);
  to_front(ldr.InMemoryOrderModuleList, entry.InMemoryOrderLinks);
}

inline void link_initialised(abi::PEB_LDR_DATA& ldr, abi::LDR_DATA_TABLE_ENTRY& entry) {
  append(ldr.InInitializationOrderModuleList, entry.InInitializationOrderLinks);
}

inline void unlink(abi::LDR_DATA_TABLE_ENTRY& entry) {
  remove(entry.InLoadOrderLinks);
  remove(entry.InMemoryOrderLinks);
  remove(entry.InInitializationOrderLinks);
}

}  // namespace bobbin::loader
