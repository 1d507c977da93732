# SPDX-License-Identifier: MIT
# Read by cpack before it makes the package: what is known, or can go wrong, only then.

if(NOT CPACK_PACKAGING_INSTALL_PREFIX STREQUAL "/usr")
	message(FATAL_ERROR "a Debian package is for /usr, and this build for"
		" ${CPACK_PACKAGING_INSTALL_PREFIX}: configure it with -DCMAKE_INSTALL_PREFIX=/usr")
endif()
# It is the one thing of whoever runs cpack that would show in the package.
execute_process(COMMAND sh -c umask OUTPUT_VARIABLE umask OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT umask MATCHES "^0*22$")
	message(FATAL_ERROR "a package is made with umask 022, and this one is ${umask}:"
		" use the target `deb`, which sets it")
endif()
# cpack takes the date of all that is in the package from there.
include(${CMAKE_CURRENT_LIST_DIR}/release.cmake)

# Debian keeps the sources of what is linked statically for as long as the package.
set(libraries libc6-dev libjson-c-dev liburing-dev libncurses-dev)
execute_process(COMMAND dpkg-query -W -f "\${source:Package} (= \${source:Version})\n" ${libraries}
	OUTPUT_VARIABLE sources OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ", " sources "${sources}")
# cpack knows no such field, so it stands in the line after another one.
string(APPEND CPACK_DEBIAN_PACKAGE_RECOMMENDS "\nBuilt-Using: ${sources}")
