# `cmake --install`: headers, the library, the command, and two ways to find them:
#   find_package(bobbin) + bobbin::bobbin       lib/cmake/bobbin/
#   pkg-config --cflags --libs [--static] bobbin   lib/pkgconfig/bobbin.pc
# The library is static unless BUILD_SHARED_LIBS is on; what a static one needs at link time (utf8proc, threads)
# is found again by the package config and named in the .pc file.
include(CMakePackageConfigHelpers)

set_target_properties(bobbin PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
install(TARGETS bobbin EXPORT bobbin)
install(DIRECTORY include/bobbin DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# For programs compiled for Windows; apart from the host's headers, since -I would hide their own.
set(BOBBIN_GUEST_INCLUDE ${CMAKE_INSTALL_DATADIR}/bobbin/guest/include)
install(DIRECTORY guest/include/bobbin DESTINATION ${BOBBIN_GUEST_INCLUDE})
if(TARGET bobbin_command)
  install(TARGETS bobbin_command)
endif()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/bobbin)
install(EXPORT bobbin NAMESPACE bobbin:: DESTINATION ${package} FILE bobbinTargets.cmake)
configure_package_config_file(cmake/bobbinConfig.cmake.in ${CMAKE_BINARY_DIR}/bobbinConfig.cmake
  INSTALL_DESTINATION ${package} PATH_VARS BOBBIN_GUEST_INCLUDE NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/bobbinConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/bobbinConfig.cmake ${CMAKE_BINARY_DIR}/bobbinConfigVersion.cmake
  DESTINATION ${package})

# A static library's own dependencies are everybody's; a shared one keeps them to itself.
get_target_property(bobbin_type bobbin TYPE)
set(BOBBIN_PC_REQUIRES "")
set(BOBBIN_PC_REQUIRES_PRIVATE "libutf8proc")
if(bobbin_type STREQUAL STATIC_LIBRARY)
  set(BOBBIN_PC_REQUIRES "libutf8proc")
  set(BOBBIN_PC_REQUIRES_PRIVATE "")
endif()
file(RELATIVE_PATH BOBBIN_PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/bobbin.pc.in ${CMAKE_BINARY_DIR}/bobbin.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/bobbin.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
