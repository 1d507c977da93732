# SPDX-License-Identifier: MIT
# What is made of a build besides an installation: Debian packages (target `deb`, by cpack) and the
# source tarball (target `dist`). Included by CMakeLists.txt; doc/packaging.md says how it is used.

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS lib/packaging/changelog
	lib/packaging/copyright-linked LICENSE)
if(NOT UB_RELEASE VERSION_EQUAL PROJECT_VERSION)
	message(FATAL_ERROR "lib/packaging/changelog begins with version ${UB_RELEASE},"
		" CMakeLists.txt with ${PROJECT_VERSION}")
endif()

# The licence as Debian has it, from the one text that there is.
file(READ LICENSE licence)
string(REGEX MATCH "Copyright \\(c\\) ([^\n]+)\n\n(.*[^\n])" matched "${licence}")
set(UB_COPYRIGHT "${CMAKE_MATCH_1}")
string(REPLACE "\n\n" "\n.\n" UB_LICENCE "${CMAKE_MATCH_2}")
string(REPLACE "\n" "\n " UB_LICENCE " ${UB_LICENCE}")
file(READ lib/packaging/copyright-linked UB_LINKED)
configure_file(lib/packaging/copyright.in copyright @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET ublk-server-rbd)
	configure_file(lib/packaging/ublk-rbd.copyright.in ublk-rbd.copyright @ONLY)
	install(FILES ${CMAKE_BINARY_DIR}/ublk-rbd.copyright RENAME copyright
		DESTINATION ${CMAKE_INSTALL_DOCDIR}-rbd COMPONENT rbd)
endif()

add_custom_target(dist COMMENT "Source tarball ublk-${PROJECT_VERSION}.tar.gz"
	COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR}
		-DTARBALL=${CMAKE_BINARY_DIR}/ublk-${PROJECT_VERSION}.tar.gz
		-P ${CMAKE_SOURCE_DIR}/lib/packaging/dist.cmake
	VERBATIM)

# Of all packages. cpack would put one summary above each description, so the descriptions have their own.
set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_NAME ublk)
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/lib/packaging/deb.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/lib/packaging/stage.cmake)
set(CPACK_DEB_COMPONENT_INSTALL ON)
# Said, since a single one that cpack finds by itself it takes for none.
set(CPACK_COMPONENTS_ALL ublk)
if(TARGET ublk-server-rbd)
	list(APPEND CPACK_COMPONENTS_ALL rbd)
endif()
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${UB_RELEASE_REVISION})
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${UB_RELEASE_BY})
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_UBLK_PACKAGE_NAME ublk)
set(CPACK_DEBIAN_UBLK_DESCRIPTION "\
manager for Linux userspace block devices
ublk makes block devices whose I/O is served by an ordinary process, over the
kernel's ublk driver and io_uring: of a file, of another block device, of
memory. If the process dies the device waits, and another one takes it over
with no I/O lost.

It tells of every device what it is, who uses it and what it has in memory,
for people and as JSON, and takes none away that is in use.

The driver is in Linux 6.12 and newer.")
# Of ublk-tls alone: the other programs are static.
set(CPACK_DEBIAN_UBLK_PACKAGE_SHLIBDEPS ON)
# The driver's module is loaded, and its nodes are made, by these; in a container the host does both.
set(CPACK_DEBIAN_UBLK_PACKAGE_RECOMMENDS "kmod, udev")
set(CPACK_DEBIAN_UBLK_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/lib/packaging/postinst
	${CMAKE_SOURCE_DIR}/lib/packaging/postrm)

set(CPACK_DEBIAN_RBD_PACKAGE_NAME ublk-rbd)
set(CPACK_DEBIAN_RBD_PACKAGE_SOURCE ublk)
set(CPACK_DEBIAN_RBD_DESCRIPTION "\
userspace block devices of images in a Ceph cluster
ublk makes block devices whose I/O is served by an ordinary process. This is
the server of its target rbd, of images in a Ceph cluster. It serves by librbd,
so an image may have what the kernel's own driver of such images does not know.

Other devices do without this package and its libraries.")
# Commands and server share what stands in a device's record. dpkg-shlibdeps adds the libraries.
set(CPACK_DEBIAN_RBD_PACKAGE_DEPENDS "ublk (= ${PROJECT_VERSION}-${UB_RELEASE_REVISION})")
set(CPACK_DEBIAN_RBD_PACKAGE_SHLIBDEPS ON)
include(CPack)

add_custom_target(deb COMMENT "Debian packages"
	COMMAND sh -c "umask 022 && exec \"$@\"" deb ${CMAKE_CPACK_COMMAND}
	VERBATIM)
