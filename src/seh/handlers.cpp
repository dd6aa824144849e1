#include "seh/handlers.hpp"

#include <algorithm>
#include <mutex>

namespace bobbin::seh {

void* HandlerList::add(GuestHandler handler, bool first) {
  const std::scoped_lock lock(mutex_);
  return &*entries_.insert(first ? entries_.begin() : entries_.end(), handler);
}

bool HandlerList::remove(const void* entry) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find_if(entries_, [&](const GuestHandler& one) { return &one == entry; });
  if (found == entries_.end()) return false;
  entries_.erase(found);
  return true;
}

std::vector<GuestHandler> HandlerList::in_order() const {
  const std::scoped_lock lock(mutex_);
  return {entries_.begin(), entries_.end()};
}

void HandlerList::clear() {
  const std::scoped_lock lock(mutex_);
  entries_.clear();
}

HandlerList& exception_handlers() {
  static HandlerList list;
  return list;
}

HandlerList& continue_handlers() {
  static HandlerList list;
  return list;
}

std::atomic<GuestHandler>& unhandled_filter() {
  static constinit std::atomic<GuestHandler> filter{nullptr};
  return filter;
}

}  // namespace bobbin::seh
