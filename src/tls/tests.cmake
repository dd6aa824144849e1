# The same tests on the fake host, whose books catch what is not given back; and those that need it. The fake's own
# tests are here too.
file(GLOB on_fake CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/tls/on_fake/*_test.cpp
     ${CMAKE_SOURCE_DIR}/src/os/fake/*_test.cpp)
file(GLOB fake CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/os/fake/*.cpp)
list(FILTER fake EXCLUDE REGEX "_test\\.cpp$")
if(BOBBIN_SANITIZE MATCHES "thread")
  # Its runtime waits for ever when it is stopped after each instruction.
  list(FILTER on_fake EXCLUDE REGEX "/(single_step|publication)_test\\.cpp$")
endif()
add_library(bobbin_os_fake OBJECT ${fake})
bobbin_flags(bobbin_os_fake)
target_link_libraries(bobbin_os_fake PUBLIC bobbin_base bobbin_abi)
# Objects come before libraries: what the fake defines is not fetched from bobbin_os.
add_executable(tls_fake_test ${tests} ${on_fake})
bobbin_flags(tls_fake_test)
target_link_libraries(tls_fake_test PRIVATE bobbin_os_fake bobbin_tls GTest::gtest_main)
gtest_discover_tests(tls_fake_test TEST_PREFIX tls_on_fake. PROPERTIES TIMEOUT 120)
