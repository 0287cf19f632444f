import { Button, Menu } from '@mantine/core'
import { IconChevronDown, IconFolderPlus, IconUpload } from '@tabler/icons-react'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import { Link } from 'wouter'
import { useLive } from '~/api/live'
import { useWho } from '~/layout/who'
import { Page } from '../Page'
import { Pager, usePager } from '../Pager'
import { useQuery } from '../query'
import { tellError } from '~/api/action'
import { asError } from '~/api/error'
import { NewFolder } from './Dialogs'
import classes from './files.module.css'
import { Listing } from './Listing'
import { steps, visible } from './names'
import { Preview } from './Preview'
import { Room } from './Room'
import { dropped, take, upload } from './uploads'
import { Uploading } from './Uploading'

const PAGE = 200

interface Props {
  title: string
  crumbs?: { title: string; href: string }[]
  /** "" = the bucket. */
  volume: string
  /** Where jobs see it: "/bucket". */
  place: string
  /** What stands there when nothing is in it. */
  empty: ReactNode
  /** One sentence under the title. */
  about?: string
  /** Below the files. */
  after?: ReactNode
}

/** The files of the bucket or a volume: a page of its own. The address knows the folder, the page, and what is looked at. */
export function Files({ title, crumbs, volume, place, empty, about, after }: Props) {
  const [query, setQuery] = useQuery('folder', 'file', 'after')
  const folder = query.folder ?? ''
  const pages = usePager('after')
  const { data, error, stale } = useLive('/v1/bucket', { level: true, prefix: folder, after: pages.cursor, limit: PAGE, volume: volume || undefined })
  const { scopes } = useWho()
  const may = scopes.includes('bucket')
  const [making, setMaking] = useState(false)
  const over = useDrop(may, (data) => void dropped(data).then((found) => take(volume, folder, found)).catch((thrown: unknown) => tellError(asError(thrown))))
  const blank = data?.objects.length === 0 && !folder && !pages.cursor
  return (
    <Page
      title={title}
      crumbs={crumbs}
      about={about}
      actions={
        may && (
          <>
            <Button variant="default" leftSection={<IconFolderPlus size={14} />} onClick={() => setMaking(true)}>
              New folder
            </Button>
            <Choose onChosen={(files) => upload(volume, files.map((file) => ({ file, key: folder + (file.webkitRelativePath || file.name) })))} />
          </>
        )
      }
    >
      <div className={classes.browser}>
        <div className={classes.bar}>
          <Steps top="All files" volume={volume} folder={folder} />
          <Room />
        </div>
        <Uploading />
        <Listing
          key={`${volume}/${folder}`}
          volume={volume}
          folder={folder}
          after={pages.cursor}
          entries={data?.objects}
          error={error}
          stale={stale}
          may={may}
          empty={blank ? empty : undefined}
        />
        <Pager pages={pages} next={data?.truncated ? data.objects.at(-1)?.key : undefined} words={{ first: 'First', newer: 'Previous', older: 'Next' }} />
      </div>
      {after}
      <NewFolder volume={volume} folder={folder} opened={making} onClose={() => setMaking(false)} />
      <Preview name={query.file} volume={volume} place={place} may={may} onClose={() => setQuery({ file: undefined })} />
      {over && <div className={classes.drop}>Drop to upload into {folder ? visible(folder) : title}</div>}
    </Page>
  )
}

/** The address of a folder, or of a file in it; empty values are left out. */
export function at(values: { volume: string; folder?: string; file?: string; after?: string }): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) if (value) query.set(name, value)
  return query.size ? `${location.pathname}?${query}` : location.pathname
}

function Steps({ top, volume, folder }: { top: string; volume: string; folder: string }) {
  const all = [{ name: top, folder: '' }, ...steps(folder)]
  return (
    <nav aria-label="Folders above">
      <ol className={classes.crumbs}>
        {all.map((one, index) => (
          <li key={one.folder}>
            {index === all.length - 1 ? (
              <span className="pc-cut" aria-current="page" title={visible(one.name)}>
                {visible(one.name)}
              </span>
            ) : (
              <Link href={at({ volume, folder: one.folder })} className="pc-cut" title={visible(one.name)}>
                {visible(one.name)}
              </Link>
            )}
          </li>
        ))}
      </ol>
    </nav>
  )
}

/** Files, or a whole folder, from the machine at which one sits. */
function Choose({ onChosen }: { onChosen: (files: File[]) => void }) {
  const some = useRef<HTMLInputElement>(null)
  const tree = useRef<HTMLInputElement>(null)
  const take = (input: HTMLInputElement) => {
    onChosen([...(input.files ?? [])])
    input.value = ''
  }
  return (
    <>
      <input ref={some} type="file" multiple hidden aria-label="Files to upload" onChange={(event) => take(event.currentTarget)} />
      <input ref={tree} type="file" hidden aria-label="Folder to upload" {...{ webkitdirectory: '' }} onChange={(event) => take(event.currentTarget)} />
      <Menu position="bottom-end" shadow="sm">
        <Menu.Target>
          <Button leftSection={<IconUpload size={14} />} rightSection={<IconChevronDown size={14} />}>
            Upload
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => some.current?.click()}>Files</Menu.Item>
          <Menu.Item onClick={() => tree.current?.click()}>A folder</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  )
}

/** Takes files that are dropped anywhere on the page; whether some are held over it. */
function useDrop(on: boolean, take: (data: DataTransfer) => void): boolean {
  const [over, setOver] = useState(false)
  const latest = useRef(take)
  useEffect(() => {
    latest.current = take
  })
  useEffect(() => {
    if (!on) return
    const holds = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
    const above = (event: DragEvent) => {
      if (!holds(event)) return
      event.preventDefault()
      setOver(true)
    }
    const left = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false)
    }
    const drop = (event: DragEvent) => {
      if (!holds(event) || !event.dataTransfer) return
      event.preventDefault()
      setOver(false)
      latest.current(event.dataTransfer)
    }
    addEventListener('dragover', above)
    addEventListener('dragleave', left)
    addEventListener('drop', drop)
    return () => {
      removeEventListener('dragover', above)
      removeEventListener('dragleave', left)
      removeEventListener('drop', drop)
    }
  }, [on])
  return over
}
