#include "seh/handlers.hpp"

#include <algorithm>
#include <mutex>

namespace bobbin::seh {

void* HandlerList::add(GuestHandler handler, bool first) {
  const std::scoped_lock lock(mutex_);
  return &entries_.emplace(first ? --first_ : ++last_, handler).first->second;
}

bool HandlerList::remove(const void* entry) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find_if(entries_, [&](const auto& one) { return &one.second == entry; });
  if (found == entries_.end()) return false;
  entries_.erase(found);
  return true;
}

GuestHandler HandlerList::next(std::int64_t& position) const noexcept {
  const std::scoped_lock lock(mutex_);
  const auto after = entries_.upper_bound(position);
  if (after == entries_.end()) return nullptr;
  position = after->first;
  return after->second;
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
