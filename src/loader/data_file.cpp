#include "loader/data_file.hpp"

#include <algorithm>

#include "abi/status.hpp"
#include "loader/guard.hpp"

namespace bobbin::loader {

Result<void*> Loader::load_data(const std::string& name, bool as_image, const LoadFlags& flags) {
  const Guard guard(*this);
  if (!guard.held()) return interrupted();
  const std::string full = with_extension(name);
  auto located = locate(full, folders_for(full, flags), nullptr);
  if (!located) return propagate(located);
  for (const auto& data : data_files_) {
    if (data->path == *located && data->image.has_value() == as_image) {
      ++data->references;
      return data->handle;
    }
  }
  auto bytes = image::FileBytes::open(*located);
  if (!bytes) return propagate(bytes);
  auto parsed = pe::File::parse(bytes->bytes(), *located);
  if (!parsed) return propagate(parsed);
  auto data = std::make_unique<DataFile>(DataFile{.bytes = std::move(*bytes), .image = {}, .path = *located});
  auto address = reinterpret_cast<std::uintptr_t>(data->bytes.bytes().data()) | 1;
  if (as_image) {
    image::MapOptions options = options_.map;
    options.data_only = true;
    auto mapped = image::map_image(data->bytes, *parsed, space_, options);
    if (!mapped) return propagate(mapped);
    if (auto done = mapped->protect(); !done) return propagate(done);
    address = reinterpret_cast<std::uintptr_t>(mapped->base()) | 2;
    data->image = std::move(*mapped);
  }
  data->handle = reinterpret_cast<void*>(address);
  data_files_.push_back(std::move(data));
  return data_files_.back()->handle;
}

Result<void> Loader::free_data(void* handle) {
  const Guard guard(*this);
  if (!guard.held()) return interrupted();
  const auto at = std::ranges::find(data_files_, handle, [](const auto& data) { return data->handle; });
  if (at == data_files_.end()) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_DLL_NOT_FOUND,
                 .what = "no such data file is loaded"});
  }
  if (--(*at)->references == 0) data_files_.erase(at);
  return {};
}

}  // namespace bobbin::loader
