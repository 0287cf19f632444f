import { FileInput, Text, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { ApiError } from '~/api/error'
import type { Shape } from '~/api/types'
import { Dialog, format } from '~/parts'

const MOST_FILES = 10
const LARGEST = 32 * 1024 * 1024
const LONGEST_LINE = 200
const LONGEST_TEXT = 20_000

interface Props {
  call: string
  /** What was sent before. */
  former: Shape<'ApplicationShown'> | undefined
  onClose: () => void
}

/** Lay files where the server finds them: their bytes go straight to the edge. */
async function uploaded(files: File[]): Promise<{ name: string; blob: string }[]> {
  if (files.length > MOST_FILES) throw new ApiError({ message: `at most ${MOST_FILES} files are attached`, hint: 'put them together in an archive' }, 0)
  const large = files.find((one) => one.size > LARGEST)
  if (large) throw new ApiError({ message: `${large.name} is larger than ${format.bytes(LARGEST)}` }, 0)
  if (!files.length) return []
  const { blobs } = await post('/v1/blob', { sizes: files.map((one) => one.size) })
  return Promise.all(
    files.map(async (file, at) => {
      const blob = blobs[at]
      const answer = blob && (await fetch(blob.url, { method: 'PUT', body: file, credentials: 'omit' }).catch(() => undefined))
      if (!blob || !answer?.ok) throw new ApiError({ message: `${file.name} could not be uploaded`, hint: 'try again' }, 0)
      return { name: file.name, blob: blob.id }
    }),
  )
}

/** The form of an application; what was sent before is in it already. */
export function Apply({ call, former, onClose }: Props) {
  const [name, setName] = useState(former?.name ?? '')
  const [institution, setInstitution] = useState(former?.institution ?? '')
  const [position, setPosition] = useState(former?.position ?? '')
  const [biography, setBiography] = useState(former?.biography ?? '')
  const [research, setResearch] = useState(former?.research ?? '')
  const [files, setFiles] = useState<File[]>()
  const send = useAction(
    async () => {
      const attachments = files && (await uploaded(files))
      return post('/v1/grant/application', { call, name, institution, position, biography, research, attachments })
    },
    { quiet: true, said: 'The application is sent' },
  )
  const kept = former?.attachments.map((one) => `${one.name} (${format.bytes(one.size)})`).join(', ')
  return (
    <Dialog opened onClose={onClose} title={`Apply: ${call}`} action={former ? 'Send it again' : 'Send'} run={send.run} busy={send.busy} error={send.error} size="lg">
      <TextInput label="Your name" autoComplete="name" required maxLength={LONGEST_LINE} value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
      <TextInput label="Institution" autoComplete="organization" required maxLength={LONGEST_LINE} value={institution} onChange={(event) => setInstitution(event.currentTarget.value)} />
      <TextInput label="Position" autoComplete="organization-title" required maxLength={LONGEST_LINE} value={position} onChange={(event) => setPosition(event.currentTarget.value)} />
      <Textarea label="Biography" description="A few lines on who you are" required autosize minRows={3} maxRows={8} maxLength={LONGEST_TEXT} value={biography} onChange={(event) => setBiography(event.currentTarget.value)} />
      <Textarea label="Research" description="What the hours are for" required autosize minRows={4} maxRows={12} maxLength={LONGEST_TEXT} value={research} onChange={(event) => setResearch(event.currentTarget.value)} />
      <FileInput label="Attachments" description={`At most ${MOST_FILES} files of ${format.bytes(LARGEST)}`} placeholder="Choose files" multiple clearable clearButtonProps={{ 'aria-label': 'Clear the attachments' }} value={files ?? []} onChange={setFiles} />
      {kept && (
        <Text size="sm" c="dimmed">
          {files ? 'They replace what was sent before: ' : 'Attached before, and kept: '}
          {kept}
        </Text>
      )}
    </Dialog>
  )
}
