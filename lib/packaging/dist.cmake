# SPDX-License-Identifier: MIT
# cmake -DSOURCE=FOLDER -DTARBALL=FILE -P dist.cmake: all that is needed to build, test and carry on,
# as it stands in the source folder; git is not asked.

include(${CMAKE_CURRENT_LIST_DIR}/release.cmake)

# The whole top of the house. What else lies there is somebody's own.
set(top .ci .clang-format .gitignore .shellcheckrc CMakeLists.txt LICENSE README.md cli completions doc
	lib tests)
foreach(name ${top})
	if(EXISTS ${SOURCE}/${name})
		list(APPEND names ${name})
	endif()
endforeach()

get_filename_component(folder ${TARBALL} NAME)
string(REGEX REPLACE "\\.tar\\.gz$" "" folder ${folder})
execute_process(
	COMMAND tar --create --file ${TARBALL} --use-compress-program "gzip -9n" --directory ${SOURCE}
		--format=ustar --sort=name --mtime=@$ENV{SOURCE_DATE_EPOCH}
		--owner=root:0 --group=root:0 --mode=u=rwX,go=rX --hard-dereference
		--exclude-backups --transform s,^,${folder}/,S ${names}
	COMMAND_ERROR_IS_FATAL ANY)
