import { Checkbox, Modal, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { ErrorBox, useWho } from '~/parts'
import { Form } from '~/parts/files/Dialogs'

interface Props {
  opened: boolean
  onClose: () => void
}

/** Asks for a new volume. */
export function Create({ opened, onClose }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>New volume</strong>}>
      {opened && <Fields onClose={onClose} />}
    </Modal>
  )
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{1,63}$/
const FRESH = { name: '', mount: '', description: '', host: '', readOnly: false }

function Fields({ onClose }: { onClose: () => void }) {
  const { owner } = useWho()
  const [values, setValues] = useState(FRESH)
  const set = (some: Partial<typeof FRESH>) => setValues({ ...values, ...some })
  const mount = values.mount || values.name
  const make = useAction(
    () => post('/v1/volume', { name: values.name, mount_path: mount, description: values.description, host_path: values.host, read_only: values.readOnly && Boolean(values.host) }),
    { said: 'The volume is there', then: onClose, quiet: true },
  )
  const wrong = values.name && !NAME.test(values.name) ? '2 to 64 letters, digits, _ . or -' : undefined
  return (
    <Form busy={make.busy} ready={Boolean(values.name) && !wrong} action="Create" onClose={onClose} onSubmit={() => void make.run()}>
      <TextInput label="Name" value={values.name} onChange={(event) => set({ name: event.currentTarget.value })} error={wrong} autoComplete="off" data-autofocus />
      <TextInput
        label="Mount path"
        description={`Jobs see it as ${mount.startsWith('/') ? mount : `/home/picloud/${mount}`}`}
        placeholder={values.name}
        value={values.mount}
        onChange={(event) => set({ mount: event.currentTarget.value })}
        autoComplete="off"
      />
      <TextInput label="Description" value={values.description} maxLength={1024} onChange={(event) => set({ description: event.currentTarget.value })} autoComplete="off" />
      {owner && (
        <TextInput label="Folder of the server's machine" description="Shown as it is instead of storing files; leave it empty for a volume of its own." placeholder="none" value={values.host} onChange={(event) => set({ host: event.currentTarget.value })} autoComplete="off" />
      )}
      {values.host && <Checkbox label="Read only" checked={values.readOnly} onChange={(event) => set({ readOnly: event.currentTarget.checked })} />}
      <ErrorBox error={make.error} />
    </Form>
  )
}
