# The same tests on the fake host, whose books catch what is not given back; and those that need it.
file(GLOB on_fake CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/tls/on_fake/*_test.cpp)
add_library(bobbin_os_fake OBJECT ${CMAKE_SOURCE_DIR}/src/os/fake/memory.cpp
                                  ${CMAKE_SOURCE_DIR}/src/os/fake/locks.cpp)
bobbin_flags(bobbin_os_fake)
target_link_libraries(bobbin_os_fake PUBLIC bobbin_base bobbin_abi)
# Objects come before libraries: what the fake defines is not fetched from bobbin_os.
add_executable(tls_fake_test ${tests} ${on_fake})
bobbin_flags(tls_fake_test)
target_link_libraries(tls_fake_test PRIVATE bobbin_os_fake bobbin_tls GTest::gtest_main)
gtest_discover_tests(tls_fake_test TEST_PREFIX tls_on_fake. PROPERTIES TIMEOUT 120)
