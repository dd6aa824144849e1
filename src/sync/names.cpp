#include "sync/names.hpp"

#include <mutex>
#include <new>

#include "abi/status.hpp"

namespace bobbin::sync {
namespace {

constexpr std::size_t kLongestName = 260;
constexpr std::u16string_view kLocal = u"Local\\";
constexpr std::u16string_view kGlobal = u"Global\\";

std::unexpected<Error> refuse(std::uint32_t status, const char* what) {
  return fail({.kind = ErrorKind::invalid, .status = status, .what = what});
}

/// The name as it is kept, or why it cannot be one.
Result<std::u16string_view> key_of(std::u16string_view name) {
  if (name.size() > kLongestName) return refuse(abi::STATUS_NAME_TOO_LONG, "an object's name is too long");
  if (name.starts_with(kLocal)) name.remove_prefix(kLocal.size());
  const std::size_t own = name.starts_with(kGlobal) ? kGlobal.size() : 0;
  if (name.find(u'\\', own) != name.npos) {
    return refuse(abi::STATUS_OBJECT_PATH_NOT_FOUND, "an object's name names a folder that does not exist");
  }
  return name;
}

std::unexpected<Error> other_kind() {
  return refuse(abi::STATUS_OBJECT_TYPE_MISMATCH, "an object of another kind has that name");
}

}  // namespace

Object::~Object() {
  if (names_ != nullptr) names_->forget(*this);
}

Names::~Names() {
  for (auto& [name, object] : objects_) object->names_ = nullptr;
}

Ref<Object> Names::alive(std::u16string_view key) {
  const auto found = objects_.find(key);
  if (found == objects_.end() || !found->second->try_add_reference()) return {};
  return Ref<Object>::adopt(found->second);
}

Result<Names::Entry> Names::claim(std::u16string_view name, Ref<Object> fresh) try {
  const auto key = key_of(name);
  if (!key) return std::unexpected(key.error());
  Ref<Object> holder;  // dropped after the lock: it may have become the last, and its end takes the name back
  const std::scoped_lock lock(mutex_);
  holder = alive(*key);
  if (holder) {
    if (holder->kind() != fresh->kind()) return other_kind();
    return Entry{std::move(holder), true};
  }
  objects_.insert_or_assign(std::u16string(*key), fresh.get());
  fresh->names_ = this;
  return Entry{std::move(fresh), false};
} catch (const std::bad_alloc&) {
  return fail(
      {.kind = ErrorKind::out_of_memory, .status = abi::STATUS_NO_MEMORY, .what = "no memory for a name"});
}

Result<Ref<Object>> Names::find(std::u16string_view name, Kind kind) {
  const auto key = key_of(name);
  if (!key) return std::unexpected(key.error());
  Ref<Object> object;  // dropped after the lock, as above
  const std::scoped_lock lock(mutex_);
  object = alive(*key);
  if (!object) return refuse(abi::STATUS_OBJECT_NAME_NOT_FOUND, "no object has that name");
  if (object->kind() != kind) return other_kind();
  return object;
}

void Names::forget(Object& object) noexcept {
  const std::scoped_lock lock(mutex_);
  // By now the name may have been given again.
  std::erase_if(objects_, [&](const auto& entry) { return entry.second == &object; });
}

}  // namespace bobbin::sync
