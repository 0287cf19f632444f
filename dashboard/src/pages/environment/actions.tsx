import { ActionIcon, Button, Menu, Modal, TextInput, Textarea } from '@mantine/core'
import { IconDots } from '@tabler/icons-react'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { get, post } from '~/api/client'
import { to } from '~/layout/routes'
import { Confirm, ErrorBox } from '~/parts'
import { Form } from '~/parts/files/Dialogs'
import { build } from '../environments/builds'
import { Clone, Steps } from '../environments/making'
import { type Environment, fault, fresh } from '../environments/states'
import { recipe, stepsOf } from '../environments/steps'

type Dialog = 'clone' | 'rebuild' | 'details' | 'publish' | 'delete' | 'discard'
const STARTS = ['idle', 'setup_error', 'save_error']

/** All that can be done to an environment in its present state. `mine`: she may change it. */
export function Actions({ one, mine }: { one: Environment; mine: boolean }) {
  const [, go] = useLocation()
  const [dialog, setDialog] = useState<Dialog>()
  const [opened, setOpened] = useState(false)
  const ask = (what: Dialog) => {
    setDialog(what)
    setOpened(true)
  }
  const name = one.name
  const edit = useAction(() => post('/v1/environment/modify', { name, token: fresh() }), { said: 'Its setup server starts' })
  const save = useAction((leave: boolean) => post('/v1/environment/save', { name, token: fresh(), leave }), { said: 'It is being saved' })
  const discard = useAction(() => post('/v1/environment/shutdown', { name, token: '' }), { said: 'Its setup server has ended' })
  const publish = useAction((open: boolean) => post('/v1/environment/publish', { name, public: open, token: '' }), { said: one.public ? 'It is your own again' : `Everybody here may use it as ${one.path}` })
  const remove = useAction(() => post('/v1/environment/delete', { name, token: '' }), { said: 'The environment is deleted', then: () => go('/environments') })
  const shown = (what: Dialog) => ({ opened: opened && dialog === what, onClose: () => setOpened(false) })
  const live = one.setup_jid !== null
  const still = !live && STARTS.includes(one.action)
  if (!mine)
    return (
      <>
        <Button onClick={() => ask('clone')}>Clone</Button>
        <Clone path={one.path} {...shown('clone')} />
      </>
    )
  return (
    <>
      {still && (
        <Button loading={edit.busy} onClick={() => void edit.run()}>
          Edit
        </Button>
      )}
      {live && (
        <Button variant="default" disabled={one.action === 'save'} loading={discard.busy} onClick={() => ask('discard')}>
          {one.action === 'setup' ? 'Cancel' : 'Discard'}
        </Button>
      )}
      {live && (one.action === 'edit' || one.action === 'save_error' || one.action === 'save') && (
        <>
          <Button variant="default" disabled={one.action === 'save'} loading={save.busy} onClick={() => void save.run(false)}>
            Save
          </Button>
          <Button disabled={one.action === 'save'} loading={save.busy} onClick={() => void save.run(true)}>
            Save and close
          </Button>
        </>
      )}
      <Menu position="bottom-end" shadow="sm">
        <Menu.Target>
          <ActionIcon variant="default" size={30} aria-label="More">
            <IconDots size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => ask('details')}>Name and description</Menu.Item>
          <Menu.Item disabled={!still} onClick={() => ask('rebuild')}>
            Build from steps
          </Menu.Item>
          <Menu.Item disabled={one.version === null} onClick={() => ask('clone')}>
            Clone
          </Menu.Item>
          <Menu.Item disabled={one.version === null} onClick={() => (one.public ? void publish.run(false) : ask('publish'))}>
            {one.public ? 'Unpublish' : 'Publish'}
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item color="red" disabled={live} onClick={() => ask('delete')}>
            Delete
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Clone path={name} {...shown('clone')} />
      <Rebuild one={one} {...shown('rebuild')} />
      <Details one={one} {...shown('details')} />
      <Confirm {...shown('publish')} title={`Publish ${name}?`} action="Publish" harmless run={() => publish.run(true)}>
        Every account of this server may then run jobs in it and clone it, as {one.path}.
      </Confirm>
      <Confirm {...shown('discard')} title="End the setup server?" action={one.action === 'setup' ? 'End it' : 'Discard'} run={() => discard.run()}>
        {one.version === null ? 'Nothing was saved yet.' : 'What was not saved is lost.'}
      </Confirm>
      <Confirm {...shown('delete')} title={`Delete ${name}?`} action="Delete" type={one.versions ? name : undefined} run={() => remove.run()}>
        Its name and its versions go. Jobs that were submitted keep theirs.
      </Confirm>
    </>
  )
}

interface Shown {
  one: Environment
  opened: boolean
  onClose: () => void
}

function Details(props: Shown) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={<strong>Name and description</strong>}>
      {props.opened && <DetailFields {...props} />}
    </Modal>
  )
}

function DetailFields({ one, onClose }: Shown) {
  const [, go] = useLocation()
  const [name, setName] = useState(one.name)
  const [description, setDescription] = useState(one.description)
  const wrong = fault(name)
  const change = useAction(() => post('/v1/environment/edit', { name: one.name, new_name: name, description, token: '' }), {
    said: 'Changed',
    then: () => {
      onClose()
      if (name !== one.name) go(to.environment(name), { replace: true })
    },
    quiet: true,
  })
  return (
    <Form busy={change.busy} ready={!wrong} action="Save" onClose={onClose} onSubmit={() => void change.run()}>
      <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} error={wrong} autoComplete="off" data-autofocus />
      <Textarea label="Description" value={description} maxLength={2000} autosize minRows={3} maxRows={10} onChange={(event) => setDescription(event.currentTarget.value)} />
      <ErrorBox error={change.error} />
    </Form>
  )
}

/** Asks for steps, beginning with those that made the present version. */
function Rebuild(props: Shown) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={<strong>{`Build ${props.one.name} anew`}</strong>} size="lg">
      {props.opened && <RebuildFields {...props} />}
    </Modal>
  )
}

function RebuildFields({ one, onClose }: Shown) {
  const [steps, setSteps] = useState('')
  const former = useAction(async () => setSteps(stepsOf((await get('/v1/environment/package', { name: one.name })).recipe) || '# it was changed by hand: no recipe is known'), { quiet: true })
  const make = useAction(
    async () => {
      const asked = recipe(steps)
      await post('/v1/environment/modify', { name: one.name, token: fresh(), fresh: true })
      build(one.name, asked)
    },
    { then: onClose, quiet: true },
  )
  return (
    <Form busy={make.busy} ready={Boolean(steps.trim())} action="Build" onClose={onClose} onSubmit={() => void make.run()}>
      <p style={{ margin: 0 }}>From {one.base} alone; what comes of it is a new version.</p>
      <Steps value={steps} onChange={setSteps} />
      {one.version !== null && (
        <div>
          <Button variant="default" loading={former.busy} onClick={() => void former.run()}>
            Take the present recipe
          </Button>
        </div>
      )}
      <ErrorBox error={make.error ?? former.error} />
    </Form>
  )
}
