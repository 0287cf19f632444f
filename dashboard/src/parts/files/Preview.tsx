import { Button, Drawer, Group } from '@mantine/core'
import { IconDownload, IconWorld, IconWorldOff } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { get, post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Confirm, useConfirm } from '../Confirm'
import { Copy } from '../Copy'
import { ErrorBox } from '../ErrorBox'
import { Snippet } from '../Snippet'
import { Bytes, Time } from '../values'
import classes from './files.module.css'
import { save } from './looks'
import { nameOf, quoted, visible } from './names'
import { View } from './View'

interface Props {
  /** Of the object; undefined = nothing is looked at. */
  name: string | undefined
  volume: string
  /** Where jobs see the top folder: "/bucket". */
  place: string
  may: boolean
  onClose: () => void
}

/** An object from near: what is known of it, what is in it, its address where it is public. */
export function Preview({ name, volume, place, may, onClose }: Props) {
  return (
    <Drawer opened={name !== undefined} onClose={onClose} position="right" size="xl" title={name !== undefined && <strong className={classes.drawerTitle}>{visible(nameOf(name))}</strong>} closeButtonProps={{ 'aria-label': 'Close' }}>
      {name !== undefined && <Inside key={name} name={name} volume={volume} place={place} may={may} />}
    </Drawer>
  )
}

function Inside({ name, volume, place, may }: { name: string; volume: string; place: string; may: boolean }) {
  const { data, error } = useLive('/v1/file/{key}', { key: name, volume })
  const load = useAction(() => save(name, volume).then(() => true))
  if (error && !data) return <ErrorBox error={error} />
  if (!data) return null
  return (
    <div className={classes.preview}>
      <Group gap="xs">
        <Button leftSection={<IconDownload size={14} />} loading={load.busy} onClick={() => void load.run()}>
          Download
        </Button>
        {!volume && may && <Publish entry={data} />}
      </Group>
      {data.public && (
        <div className={classes.address}>
          <IconWorld size={14} aria-hidden />
          <a href={data.public} target="_blank" rel="noopener noreferrer" className="pc-cut">
            {data.public}
          </a>
          <Copy text={data.public} label="Copy the public address" />
        </div>
      )}
      <Facts entry={data} volume={volume} />
      <View key={data.etag} entry={data} volume={volume} />
      <Snippet title="In a job it is a file" code={`picloud exec ${volume && `-v ${quoted(volume)} `}${quoted(`wc -c ${quoted(`${place}/${name}`)}`)}`} />
    </div>
  )
}

function Facts({ entry, volume }: { entry: Shape<'Entry'>; volume: string }) {
  const [digest, setDigest] = useState('')
  const md5 = useAction(() => get('/v1/file/{key}', { key: entry.key, volume, md5: true }), { then: (found) => setDigest(found.md5) })
  const shown = entry.md5 || digest
  return (
    <dl className={classes.facts}>
      <dt>Key</dt>
      <dd>
        <span className="pc-mono">{visible(entry.key)}</span>
        <Copy text={entry.key} label="Copy the key" />
      </dd>
      <dt>Size</dt>
      <dd>
        <Bytes value={entry.size} />
      </dd>
      <dt>Modified</dt>
      <dd>
        <Time at={entry.modified} />
      </dd>
      <dt>Created</dt>
      <dd>
        <Time at={entry.created} />
      </dd>
      {entry.headers['content-type'] && (
        <>
          <dt>Type</dt>
          <dd>{entry.headers['content-type']}</dd>
        </>
      )}
      <dt>MD5</dt>
      <dd>
        {shown ? (
          <>
            <span className="pc-mono">{shown}</span>
            <Copy text={shown} label="Copy the md5" />
          </>
        ) : (
          <Button variant="default" size="compact-xs" loading={md5.busy} onClick={() => void md5.run()}>
            Compute
          </Button>
        )}
      </dd>
    </dl>
  )
}

/** Lets everybody get an object, or nobody else any more. */
function Publish({ entry }: { entry: Shape<'Entry'> }) {
  const ask = useConfirm()
  const change = useAction((open: boolean) => post('/v1/file/publish', { key: entry.key, public: open }), {
    said: (now) => (now.public ? 'Everybody can get it now' : 'It is private now'),
  })
  if (entry.public)
    return (
      <Button variant="default" leftSection={<IconWorldOff size={14} />} loading={change.busy} onClick={() => void change.run(false)}>
        Make private
      </Button>
    )
  return (
    <>
      <Button variant="default" leftSection={<IconWorld size={14} />} onClick={() => ask.open(true)}>
        Make public
      </Button>
      <Confirm {...ask.dialog} title="Make it public?" action="Make public" harmless run={() => change.run(true)}>
        Everybody who has the address can get it, without a key, until it is made private again.
      </Confirm>
    </>
  )
}
